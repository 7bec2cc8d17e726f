"""Keeping part of a recording: which samples and frames stay, and what lies in between."""

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, log_mel, write_wav
from voicediff.errors import ConfigError
from voicediff.inference.editing import Recording

SPEC = MelSpec()
RATE = SPEC.sample_rate


@pytest.fixture(scope="module")
def take():
    return (np.random.default_rng(0).standard_normal(2 * RATE) / 10).astype(np.float32)


def pieces(samples, size=5000):
    return [np.zeros(min(size, samples - i), np.float32) for i in range(0, samples, size)]


def test_kept_samples_are_copied_and_the_rest_is_new(take):
    recording = Recording(take, SPEC, [(0.5, 1.0)], fade=0.02)
    wav = np.concatenate(list(recording.restored(pieces(3 * RATE))))
    assert len(wav) == 3 * RATE
    first, last, ramp = round(0.5 * RATE), RATE, round(0.02 * RATE) + 1
    assert not wav[:first].any() and not wav[last:].any()
    np.testing.assert_allclose(wav[first + ramp : last - ramp], take[first + ramp : last - ramp])
    rising = np.abs(wav[first : first + ramp]) <= np.abs(take[first : first + ramp]) + 1e-7
    assert rising.all() and abs(wav[first]) < 0.01 * abs(take[first]) + 1e-6


def test_the_size_of_the_pieces_does_not_matter(take):
    recording = Recording(take, SPEC, [(0.3, 0.9), (1.1, 2.0)])
    one, two = (np.concatenate(list(recording.restored(pieces(2 * RATE, n)))) for n in (777, 30000))
    np.testing.assert_array_equal(one, two)


def test_a_replaced_stretch_leaves_the_rest_up_to_both_ends(take, tmp_path):
    write_wav(tmp_path / "take.wav", take, RATE)
    recording = Recording.read(tmp_path / "take.wav", SPEC, 0.5, 1.0, inside=False)
    wav = np.concatenate(list(recording.restored(pieces(2 * RATE))))
    assert not wav[round(0.51 * RATE) : round(0.99 * RATE)].any()
    np.testing.assert_allclose(wav[: round(0.47 * RATE)], take[: round(0.47 * RATE)], atol=1e-4)
    np.testing.assert_allclose(wav[-1000:], take[-1000:], atol=1e-4)


def test_windows_contain_the_kept_mel(take):
    recording = Recording(take, SPEC, [(0.5, 1.0)])
    kept = recording.window(30, 64)
    mel = log_mel(torch.from_numpy(take), SPEC)
    torch.testing.assert_close(kept.mel[0], mel[:, 30:94])
    assert kept.where[0].nonzero().flatten().tolist() == list(range(43 - 30, 86 - 30))
    beyond = recording.window(mel.shape[1] - 5, 16)
    assert beyond.mel.shape == (1, SPEC.n_mels, 16) and not beyond.where.any()


@pytest.mark.parametrize(("start", "stop"), [(1.0, 0.5), (-1.0, 1.0), (0.5, 2.5)])
def test_a_part_outside_of_the_take_is_refused(take, tmp_path, start, stop):
    write_wav(tmp_path / "take.wav", take, RATE)
    with pytest.raises(ConfigError, match=r"not a part of .*take.wav \(2.00 s\)"):
        Recording.read(tmp_path / "take.wav", SPEC, start, stop, inside=True)
