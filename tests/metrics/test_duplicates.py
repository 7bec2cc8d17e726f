"""Tracks of the same speaker are detected; silent or non-overlapping tracks are not compared."""

import numpy as np
import pytest

from voicediff.metrics.duplicates import TrackSimilarity

RATE = 16000


def accumulated(tracks, present=None, pieces=3):
    present = np.ones(tracks.shape, bool) if present is None else present
    similarity = TrackSimilarity(len(tracks), RATE)
    for part in np.array_split(np.arange(tracks.shape[1]), pieces):
        similarity.add(tracks[:, part], present[:, part])
    return similarity


def noise(count, seed=0, seconds=2):
    return np.random.default_rng(seed).standard_normal((count, seconds * RATE)) * 0.1


def test_similarity_is_the_si_sdr_between_tracks():
    a, b = noise(2)
    other = a + 0.5 * b
    found = accumulated(np.stack((a, other))).decibels()
    projected = (a @ other) / (a @ a) * a
    wanted = 10 * np.log10((projected @ projected) / np.square(other - projected).sum())
    assert found[0, 1] == pytest.approx(wanted, abs=1e-6) and found[1, 0] == pytest.approx(wanted)


def test_the_same_speaker_in_two_tracks_is_detected_and_two_speakers_are_not():
    a, b = noise(2)
    pairs = accumulated(np.stack((a, b, 0.3 * a + 0.01 * b))).same()
    assert [(i, j) for i, j, _ in pairs] == [(0, 2)]


def test_tracks_are_compared_only_while_both_people_are_present():
    a, b = noise(2)
    present = np.ones((2, len(a)), bool)
    present[1, :RATE] = False
    b[RATE:] = a[RATE:]  # the first second, in which they differ, is not compared
    assert accumulated(np.stack((a, b)), present).same()
    present[1, : -RATE // 4] = False
    assert np.isnan(accumulated(np.stack((a, b)), present).decibels()[0, 1])


def test_silent_tracks_are_not_compared():
    a = noise(1)[0]
    assert not accumulated(np.stack((a, 1e-4 * a))).same()
    assert not accumulated(np.zeros((2, RATE))).same()
