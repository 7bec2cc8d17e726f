"""Every fault of docs/history_of_failure.md is detected: detectors on faulty and healthy parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from voicediff.audio.stft import STFT
from voicediff.corpora.lrs3 import plan
from voicediff.data.separation.clips import Clip, read_clip, write_clip
from voicediff.diagnostics import detectors
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.sdes import SDE
from voicediff.experiment import read_config
from voicediff.networks.conditions import Conditions
from voicediff.registry import build, entries, read_options
from voicediff.training.average import decay_at
from voicediff.training.options import Average, read_training
from voicediff.video.constants import HOP

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "egs/lrs3/avss/local"))

from failures import faults, measures, network, table  # noqa: E402
from failures.batches import Batch, Loader  # noqa: E402

CONF = ROOT / "egs/lrs3/avss/conf"
CONFS = sorted(CONF.glob("train*.yaml"))
FULL = [conf for conf in CONFS if "smoke" not in conf.stem]
FIGURES = ROOT / "docs/figures/history_of_failure"
RESULTS = json.loads((FIGURES / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    return read_config(CONF / "train_mini.yaml").build_task().eval()


@pytest.fixture(scope="module")
def mouth():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 8, 96, 96), dtype=torch.uint8, generator=generator)


def encoders() -> dict[str, nn.Module]:
    """Small encoders of the package: mouth (B, T, 96, 96) -> states."""

    class OfCrops(nn.Module):
        def __init__(self, encoder: nn.Module):
            super().__init__()
            self.encoder = encoder

        def forward(self, mouth):
            pictures = mouth[..., 4:92, 4:92].float() / 255
            return self.encoder(pictures, torch.ones(mouth.shape[:2], dtype=torch.bool))

    small = {
        "lip_stacks": {"dim": 16, "channels": [4, 8, 8, 8]},
        "lips3d": {"dim": 16, "width": 8, "layers": 1, "dropout": 0.0, "frozen": True},
    }
    torch.manual_seed(0)
    return {n: OfCrops(build("encoder", {"name": n, **o})) for n, o in small.items()}


# -- 1: desynchronised video --------------------------------------------------------------------


def video_offset(loader: type[Loader]) -> float:
    return detectors.seconds_off(lambda sample: loader.video_start(None, sample))


def test_crops_of_sound_and_video_start_together():
    assert video_offset(Loader) < 0.02
    assert video_offset(faults.DesynchronisedLoader) == pytest.approx(0.96)


def test_a_flash_and_a_click_coincide_in_every_crop(tmp_path):
    frames, event = 60, 30
    clip = Clip(
        audio=np.zeros(frames * HOP, np.int16),
        mouth=np.zeros((frames, 96, 96), np.uint8),
        valid=np.ones(frames, bool),
        face=np.zeros((224, 224, 3), np.uint8),
    )
    clip.audio[event * HOP], clip.mouth[event] = 20000, 255
    write_clip(tmp_path / "clip.npz", clip)

    def off(video_start) -> int:
        apart = []
        for start in range(event):
            sound = read_clip(tmp_path / "clip.npz", start, 31).audio
            video = read_clip(tmp_path / "clip.npz", video_start(start * HOP), 31).mouth
            apart.append(sound.argmax() // HOP - video[:, 0, 0].argmax())
        return max(map(abs, apart))

    assert off(lambda sample: sample // HOP) == 0
    assert off(lambda sample: faults.DesynchronisedLoader.video_start(None, sample)) > 20


# -- 2: two transforms --------------------------------------------------------------------------


@pytest.mark.parametrize("conf", CONFS, ids=lambda path: path.stem)
def test_the_transform_of_every_configuration_inverts_itself(conf):
    chain = read_options(STFT, read_config(conf).task.get("stft", {}), "task.stft")
    assert detectors.round_trip(chain) > 60


def test_a_mismatched_chain_is_detected():
    assert detectors.round_trip(faults.MismatchedSTFT()) < 0


# -- 3: too few updates -------------------------------------------------------------------------


@pytest.mark.parametrize("conf", FULL, ids=lambda path: path.stem)
def test_every_configuration_updates_often_and_averages_out_its_initial_weights(conf):
    training = read_training(read_config(conf))
    steps = min(phase.steps for phase in training.phases)
    assert sum(phase.steps for phase in training.phases) >= 500
    assert detectors.start_left(lambda n: decay_at(n, training.ema), steps) < 0.01


def test_few_updates_and_a_slow_average_are_detected():
    assert detectors.updates_of_epoch(24 * 1024, batch=1, accumulate=1024) == 24
    assert detectors.updates_of_epoch(24 * 1024, batch=8, accumulate=1) == 3072
    assert detectors.start_left(lambda n: 0.999, updates=24) > 0.97
    assert detectors.start_left(lambda n: decay_at(n, Average()), updates=24) < 0.01


# -- 4: validated on the training ---------------------------------------------------------------


def test_splits_of_the_corpus_share_no_speaker():
    people = {split: {c.speaker for c in plan(30) if c.split == split}
              for split in ("pretrain", "trainval", "test")}  # fmt: skip
    assert len(set.union(*people.values())) >= 60
    for validated in ("trainval", "test"):
        assert detectors.shared(people["pretrain"], people[validated]) == 0
    assert detectors.shared(people["pretrain"], people["pretrain"]) == 1


# -- 5: attention without positions -------------------------------------------------------------


def fusion_sensitivity(fusion: nn.Module, level: int) -> float:
    torch.manual_seed(0)
    h, lips = torch.randn(2, network.CHANNELS[level], 8, 16), torch.randn(2, 51, network.LIPS)
    return detectors.order_sensitivity(lambda lips: fusion(level, h, lips) - h, lips)


def test_attention_without_positions_ignores_the_order_of_the_lips():
    bottom = len(network.CHANNELS) - 1
    assert fusion_sensitivity(faults.CoarseAttention(), bottom) < 1e-5
    assert fusion_sensitivity(network.PlacedAttention(), bottom) > 0.01
    assert fusion_sensitivity(network.FiLM(), bottom) > 0.01


@pytest.mark.parametrize("positions", [True, False])
def test_attention_of_the_published_network_with_and_without_positions(positions):
    """NCSN++ as in AVDiffuSS (no positions), and with positions."""
    torch.manual_seed(0)
    part = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 1], "cross_attention": [16, 8]}
    part |= {"positions": positions, "pyramid": False, "heads": 2, "head_size": 8}
    predictor = build("predictor", part, channels_in=2, bins=16, conditions={"lips": ("tokens", 6)})
    for parameter in predictor.parameters():
        if not parameter.any():  # zero layers would hide what is under test
            torch.nn.init.normal_(parameter, std=0.1)
    y, mask = torch.randn(2, 2, 16, 16), torch.ones(2, 16, dtype=torch.bool)
    difference = detectors.order_sensitivity(
        lambda lips: predictor(y, Conditions(tokens={"lips": lips}), mask), torch.randn(2, 10, 6)
    )
    assert (difference > 1e-4) == positions


def separated(task, mouth, mixture):
    """Output (B, N) of the untrained predictor, for one face per mixture."""
    valid, face = (
        torch.ones(mouth.shape[:2], dtype=torch.bool),
        torch.zeros(len(mouth), 224, 224, 3),
    )
    frames = torch.full((len(mouth),), mouth.shape[1])
    inputs = (mixture, mouth[:, None], valid[:, None], face[:, None].byte(), frames)
    noise = SeededNoise(range(len(mouth)))
    return task.separate(*inputs, sampler=None, noise=noise).predictor_tracks[:, 0]


def test_the_task_depends_on_the_order_of_the_lips(task, mouth):
    mixture = torch.randn(2, 8 * HOP, generator=torch.Generator().manual_seed(0))
    change = detectors.order_sensitivity(lambda m: separated(task, m, mixture), mouth)
    assert change > 1e-4
    timeless = mouth[:, :1].expand_as(mouth)  # constant in time
    assert detectors.order_sensitivity(lambda m: separated(task, m, mixture), timeless) < 1e-6


# -- 6: frozen, but in train mode ---------------------------------------------------------------


def test_frozen_encoders_do_not_change_in_training(mouth):
    torch.manual_seed(0)
    encoder = network.LipEncoder()
    assert detectors.frozen_drift(faults.Frozen(encoder), mouth) < 1e-5
    assert detectors.frozen_drift(faults.CarelesslyFrozen(encoder), mouth) > 0.1
    assert detectors.frozen_drift(encoders()["lips3d"], mouth) < 1e-5
    thawed = encoders()["lips3d"]
    thawed.encoder.frozen = False  # so it follows the train mode of its parent
    assert detectors.frozen_drift(thawed, mouth) > 0.1


# -- 7: a plateau at the loss of the mixture ----------------------------------------------------


def test_outputs_that_ignore_the_face_are_detected(task, mouth):
    mixture = torch.randn(2, 8 * HOP, generator=torch.Generator().manual_seed(0))
    other = mouth.flip(0)

    def blind(mixture, mouth):
        return separated(task, torch.zeros_like(mouth), mixture)

    assert detectors.likeness(blind, mixture, mouth, other) > 60
    with_video = detectors.likeness(lambda x, m: separated(task, m, x), mixture, mouth, other)
    assert with_video < 60  # untrained; a trained model is below 5 dB


def test_a_plateau_at_the_loss_of_the_mixture_is_detected():
    level = RESULTS["healthy"]["mixture"]
    assert detectors.stuck(RESULTS["without video"]["losses"], -level)
    assert not detectors.stuck(RESULTS["healthy"]["losses"], -level)


# -- 8: the state leaks the target --------------------------------------------------------------


LEAKING = {"ouve"}  # keeps x0: a(1) = 0.22


@pytest.mark.parametrize("name", sorted(entries("sde")))
def test_the_state_at_t_max_does_not_identify_the_speaker(name):
    sde: SDE = build("sde", {"name": name})
    apart = RESULTS["ouve"]["distance"]["apart"]
    deviations = detectors.start_separation(sde, apart)
    assert (deviations > 5) == (name in LEAKING), f"{deviations:.2f} standard deviations"


# -- 9: cross-talk between clips ----------------------------------------------------------------


def test_clips_of_a_batch_do_not_affect_each_other(mouth):
    torch.manual_seed(0)
    assert detectors.cross_talk(network.LipEncoder().eval(), mouth) == 0
    assert detectors.cross_talk(faults.EndToEndLipEncoder().eval(), mouth) > 1e-3
    for name, encoder in encoders().items():
        assert detectors.cross_talk(encoder.eval(), mouth) < 1e-5, name


# -- the experiments ----------------------------------------------------------------------------


def test_the_tables_of_the_page_hold_the_measured_values():
    page = (ROOT / "docs/history_of_failure.md").read_text("utf-8")
    missing = [row for row in table.rows(RESULTS) + table.details(RESULTS) if row not in page]
    assert not missing, "run history_of_failure.py --draw and put its tables into the page"
    for figure in FIGURES.glob("*.png"):
        assert f"figures/history_of_failure/{figure.name}" in page


def test_scores_of_a_perfect_separator_and_of_the_mixture():
    voices = torch.randn(4, 4000, generator=torch.Generator().manual_seed(0))
    other = voices.reshape(2, 2, -1).flip(1).reshape(4, -1)
    batch = Batch(
        voices + other, voices, other, torch.zeros(4, 5, 96, 96), torch.tensor([True] * 4)
    )
    batch.same[:2] = False
    perfect = measures.score(lambda mixture, mouth: voices, [batch])
    nothing = measures.score(lambda mixture, mouth: mixture, [batch])
    assert perfect.different > 30 and perfect.selection == 1 and perfect.swap < 0
    assert nothing.same == pytest.approx(0, abs=1e-3) and nothing.swap > 60
