"""Tracks that are the same voice are noticed; silence and absence are not likeness."""

import numpy as np
import pytest

from voicediff.metrics.duplicates import TrackSimilarity

RATE = 16000


def gathered(voices, there=None, pieces=3):
    there = np.ones(voices.shape, bool) if there is None else there
    likeness = TrackSimilarity(len(voices), RATE)
    for part in np.array_split(np.arange(voices.shape[1]), pieces):
        likeness.add(voices[:, part], there[:, part])
    return likeness


def noise(count, seed=0, seconds=2):
    return np.random.default_rng(seed).standard_normal((count, seconds * RATE)) * 0.1


def test_it_is_the_si_sdr_between_tracks():
    a, b = noise(2)
    other = a + 0.5 * b
    found = gathered(np.stack((a, other))).decibels()
    projected = (a @ other) / (a @ a) * a
    wanted = 10 * np.log10((projected @ projected) / np.square(other - projected).sum())
    assert found[0, 1] == pytest.approx(wanted, abs=1e-6) and found[1, 0] == pytest.approx(wanted)


def test_one_voice_twice_is_noticed_and_two_voices_are_not():
    a, b = noise(2)
    pairs = gathered(np.stack((a, b, 0.3 * a + 0.01 * b))).same()
    assert [(i, j) for i, j, _ in pairs] == [(0, 2)]


def test_only_what_is_heard_while_both_are_there_counts():
    a, b = noise(2)
    there = np.ones((2, len(a)), bool)
    there[1, :RATE] = False
    b[RATE:] = a[RATE:]  # the first second, in which they differ, is not compared
    assert gathered(np.stack((a, b)), there).same()
    there[1, : -RATE // 4] = False
    assert np.isnan(gathered(np.stack((a, b)), there).decibels()[0, 1])


def test_silence_is_not_a_voice():
    a = noise(1)[0]
    assert not gathered(np.stack((a, 1e-4 * a))).same()
    assert not gathered(np.zeros((2, RATE))).same()
