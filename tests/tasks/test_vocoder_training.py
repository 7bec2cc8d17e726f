"""Training of vocoders: augmented segments, generated mels, exact resuming of adversarial training."""

import json

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, f0, log_mel, write_wav
from voicediff.bin.main import main
from voicediff.config import dump_yaml
from voicediff.data.singing.waveforms import SoundDataset, Variation
from voicediff.errors import DataError
from voicediff.experiment import read_weights
from voicediff.training.trainer import Trainer

SPEC = MelSpec()
RATE = SPEC.sample_rate
TINY = {
    "task": {
        "name": "vocoder",
        "vocoder": {"name": "vocos_source", "channels": 8, "layers": 1},
        "resolutions": [256],
        "discriminators": {
            "periods": {"name": "multi_period", "periods": [3], "channels": 2, "most": 4},
            "spectra": {"name": "multi_resolution", "sizes": [256], "channels": 2},
        },
    },
    "training": {
        "phases": [
            {"name": "spectral", "targets": ["spectral"], "steps": 3, "batch_size": 2},
            {
                "name": "adversarial",
                "targets": ["discriminator", "generator"],
                "steps": 4,
                "batch_size": 2,
                "data": {"crop": 0.2, "speed": [0.8, 1.25], "gain": 6.0, "noise": [-70, -60]},
            },
        ],
        "validate_every": 5,
        "previews": 1,
        "validation_items": 2,
        "checkpoint_every": 2,
        "log_every": 1,
        "ema": {"decay": 0.9, "warmup": 2},
    },
}


def tone(hz, seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(0.2 / n * np.sin(2 * np.pi * n * hz * time) for n in range(1, 6)).astype(np.float32)


@pytest.fixture
def dump(tmp_path):
    """Two tones with their features, one line each; the second starts late in its file."""
    for split in ("train", "dev"):
        entries = []
        for utt, hz, start in (("a", 220.0, 0.0), ("b", 330.0, 0.5)):
            wav = np.concatenate([np.zeros(round(start * RATE), np.float32), tone(hz, 1.0)])
            path = tmp_path / "wav" / f"{utt}.wav"
            write_wav(path, wav, RATE)
            line = wav[round(start * RATE) :]
            mel = log_mel(torch.from_numpy(line), SPEC).numpy()
            (tmp_path / split).mkdir(exist_ok=True)
            pitch = np.full(mel.shape[1], hz, np.float32)
            np.savez(tmp_path / split / f"{utt}.npz", mel=mel, f0=pitch, key="")
            entries.append(
                {"utt": utt, "frames": mel.shape[1], "path": f"{utt}.npz", "score": {}}
                | {"wav": str(path), "start": start, "end": start + 1.0}
            )
        index = {"mel": SPEC.hash, "utterances": entries}
        (tmp_path / split / "index.json").write_text(json.dumps(index))
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/mel.yaml").write_text(dump_yaml(SPEC.to_dict()))
    return tmp_path


def stretch(dump, **options):
    return SoundDataset(dump / "train", SPEC, Variation(**options)).item(1, 5)


def test_a_segment_has_the_mel_of_its_waveform(dump):
    item = stretch(dump, crop=0.5)
    frames = round(0.5 * SPEC.frame_rate)
    assert item["utt"] == "b" and len(item["wav"]) == frames * SPEC.hop
    own = log_mel(torch.from_numpy(item["wav"]), SPEC).numpy()
    assert np.abs(own - item["mel"])[:, 3:-3].max() < 0.02
    assert (item["f0"] == 330).all()


def test_speed_changes_waveform_and_f0_and_gain_the_level(dump):
    plain, fast = stretch(dump, crop=0.4), stretch(dump, crop=0.4, speed=(1.2, 1.2))
    heard = f0(fast["wav"], RATE, SPEC.hop)[4:-4]
    assert np.abs(1200 * np.log2(heard / fast["f0"][4:-4])).max() < 5
    assert fast["f0"][10] == pytest.approx(330 * 1.2, rel=1e-3)
    loud = stretch(dump, crop=0.4, gain=12.0)
    ratio = np.abs(loud["wav"]).max() / np.abs(plain["wav"]).max()
    assert abs(20 * np.log10(ratio)) <= 12 and ratio != pytest.approx(1, abs=1e-3)
    assert np.median(loud["mel"] - plain["mel"]) == pytest.approx(np.log(ratio), abs=0.05)


def test_generated_mels_are_aligned_with_the_recording(dump):
    mels = dump / "mels"
    mels.mkdir()
    frames = round(SPEC.frame_rate)
    steps = np.broadcast_to(np.arange(frames, dtype=np.float32), (SPEC.n_mels, frames))
    np.save(mels / "b.npy", steps)
    data = SoundDataset(dump / "train", SPEC, Variation(crop=0.4, mels=str(mels)))
    assert len(data) == 1  # the other has no mel
    item = data.item(0, 3)
    first = int(item["mel"][0, 0])
    assert (np.diff(item["mel"][0]) == 1).all()
    whole = tone(330.0, 1.0)[first * SPEC.hop :][: len(item["wav"])]
    assert np.abs(item["wav"] - whole).max() < 1e-3


def test_a_folder_without_mels_is_named(dump):
    with pytest.raises(DataError, match="no mel of an utterance"):
        SoundDataset(dump / "train", SPEC, Variation(mels=str(dump / "wav")))


def train(dump, exp):
    (dump / "conf.yaml").write_text(dump_yaml(TINY))
    words = ["train", "--config", dump / "conf.yaml", "--train", dump / "train"]
    words += ["--dev", dump / "dev", "--assets", dump / "assets", "--exp", dump / exp]
    return main([str(word) for word in words])


def test_a_killed_adversarial_training_resumes_exactly(dump, monkeypatch):
    """Killed between the two targets of a step, after a checkpoint in the middle of the phase."""
    assert train(dump, "whole") == 0
    update = Trainer._update

    def die(self, target, *args):
        if self.state.step == 6 and target.name == "generator":
            raise RuntimeError("killed")
        update(self, target, *args)

    monkeypatch.setattr(Trainer, "_update", die)
    with pytest.raises(RuntimeError, match="killed"):
        train(dump, "killed")
    monkeypatch.undo()
    assert train(dump, "killed") == 0
    for which in ("raw", "ema"):
        one, two = (
            read_weights(dump / exp / "last.safetensors", which)[0] for exp in ("whole", "killed")
        )
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert (dump / "whole/log.csv").read_bytes() == (dump / "killed/log.csv").read_bytes()
    names = {line.split(",")[2] for line in (dump / "whole/log.csv").read_text().splitlines()}
    assert {"generator/feature", "generator/adversarial", "discriminator/discriminator"} <= names
