"""Every singing configuration trains a step of each of its phases and generates."""

from pathlib import Path

import pytest
import torch

from voicediff.audio import MelSpec
from voicediff.config import read_yaml
from voicediff.data.singing.dataset import align_score
from voicediff.data.singing.features import Statistics, write_assets
from voicediff.diffusion.noise import SeededNoise
from voicediff.experiment import read_config
from voicediff.music.score import Note, Score
from voicediff.registry import build
from voicediff.training.options import read_training
from voicediff.training.targets import build_targets

CONF = Path(__file__).parents[2] / "egs" / "csd" / "svs" / "conf"
FILES = [
    p for p in sorted(CONF.glob("*.yaml")) if read_yaml(p).get("task", {}).get("name") == "svs"
]
FRAMES = 32
SCORE = Score((Note(0.05, 0.2, 60, "나"), Note(0.2, 0.33, 64, "비")), 0.37)


def batch_of(task):
    rate = task.mel.frame_rate
    aligned = align_score(SCORE, task.tokenizer, FRAMES, rate, task.timing)
    mel = torch.randn(task.mel.n_mels, FRAMES, generator=torch.Generator().manual_seed(0)) - 5
    item = {"utt": "one", "score": aligned, "mel": mel.numpy(), "f0": torch.full((FRAMES,), 220.0)}
    return task.collate([item | {"f0": item["f0"].numpy()}], [3])


def assets_of(config, folder):
    """Assets as the feature extraction writes them, with a tokenizer fitted to the score's lyrics."""
    spec, tokenizer = (
        MelSpec.from_dict(config.task["mel"]),
        build("tokenizer", config.task["tokenizer"]),
    )
    tokenizer.fit(["나비"])
    write_assets(folder, spec, Statistics.neutral(spec.n_mels), tokenizer)
    return folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_trains_a_step_and_sings(path, tmp_path):
    config = read_config(path)
    task = config.build_task(assets_of(config, tmp_path))
    batch = batch_of(task)
    for targets in build_targets(read_training(config), task):
        for target in targets:
            biases = [parameter for parameter in target.parameters if parameter.dim() == 1]
            before = torch.cat([bias.detach().clone() for bias in biases])
            losses = task.train()(batch, target.name)
            losses.loss.backward()
            target.set_rate(50, 100)
            target.optimizer.step()
            target.optimizer.zero_grad()
            assert losses.loss.isfinite()
            assert not torch.equal(torch.cat([bias.detach() for bias in biases]), before)
    sampler = config.build_sampler().with_nfe(2)
    song = task.eval().generate(batch["score"], sampler, SeededNoise([1]))
    assert song.mel.isfinite().all() and song.mel.shape == (1, task.mel.n_mels, FRAMES)
