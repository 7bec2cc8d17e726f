"""A packed model is small, complete, and says the same."""

import numpy as np
import pytest
import torch

from voicediff import experiment
from voicediff.audio import read_wav
from voicediff.bin.main import main
from voicediff.pretrained import SINGER

SCORE = """start,end,pitch,syllable
0.2,0.7,62,n_a
0.7,1.2,64,b_i
1.2,2.0,66,y_a
"""


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "kr001a.csv"
    path.write_text(SCORE, encoding="utf-8")
    return path


def test_the_singer_that_comes_with_voicediff_sings_without_training(song, tmp_path):
    out = tmp_path / "song.wav"
    assert main(["sing", str(song), "-o", str(out), "--steps", "2"]) == 0
    wav, rate = read_wav(out)
    assert rate == 22050 and abs(len(wav) / rate - 2.0) < 0.2
    assert np.isfinite(wav).all() and np.sqrt(np.square(wav).mean()) > 0.003


def test_the_singer_is_small_and_has_a_card():
    size = sum(path.stat().st_size for path in SINGER.rglob("*") if path.is_file())
    assert size < 20e6
    card = (SINGER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "synthetic" in card


def test_packing_again_keeps_weights_and_configuration(tmp_path):
    assert main(["pack", "--model", str(SINGER), "-o", str(tmp_path / "packed")]) == 0
    before, after = (experiment.load(path) for path in (SINGER, tmp_path / "packed"))
    assert before.config == after.config and before.step == after.step
    pairs = zip(before.task.state_dict().items(), after.task.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_folder_that_is_no_experiment_is_refused_and_nothing_is_written(tmp_path, capsys):
    assert main(["pack", "--model", str(tmp_path), "-o", str(tmp_path / "packed")]) == 2
    assert "config.yaml is missing" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()
