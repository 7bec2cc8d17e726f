"""Talk of any length: seams, exact length, memory. The model is one whose answer is known."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from voicediff.audio import STFT, read_wav
from voicediff.inference.separation import (
    Piece,
    Scene,
    SceneSeparator,
    confidence,
    with_shared_residual,
    write_tracks,
)
from voicediff.tasks.avss.synchrony import Synchrony

HOP = 640


class Answer:
    def __init__(self, voices):
        self.tracks, self.predictor_tracks, self.nfe = voices, voices, 0


class BrightnessTask(torch.nn.Module):
    """A track is the mixture times the brightness of its mouth, frame by frame, plus some noise."""

    def __init__(self, noisy=0.0):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.stft, self.noisy, self.largest, self.synchrony = STFT(), noisy, 0, Synchrony()

    def separate(self, mixture, mouth, valid, face, frames, sampler, noise, *options, lags):
        self.largest = max(self.largest, mouth.shape[2])
        bright = (mouth[..., 0, 0] / 255 * valid)[..., None].expand(*valid.shape, HOP)
        voices = mixture[:, None] * bright.flatten(2)
        drawn = noise(torch.zeros(mouth.shape[1], 1, 5 * mouth.shape[2]))
        return Answer(voices + self.noisy * drawn.repeat_interleave(128, 2)[None, :, 0])


def scene(seconds, people=2, seed=0, video=None):
    draw = np.random.default_rng(seed)
    samples = round(seconds * 16000)
    frames = -(-samples // HOP) if video is None else video
    shades = draw.integers(0, 256, (people, frames), dtype=np.uint8)
    mouths = np.broadcast_to(shades[..., None, None], (people, frames, 96, 96))
    return Scene(
        draw.standard_normal(samples).astype(np.float32) * 0.1,
        list(mouths),
        [np.ones(frames, bool)] * people,
        np.zeros((people, 224, 224, 3), np.uint8),
    )


@pytest.mark.parametrize("seconds", [0.01, 2.04, 8.0, 8.01, 23.456])
def test_tracks_are_as_long_as_the_mixture_and_chunks_stay_short(seconds):
    task, talk = BrightnessTask(), scene(seconds)
    tracks = SceneSeparator(task, None, longest=4.0, overlap=0.8).tracks(talk)
    assert tracks.shape == (2, len(talk.mixture))
    assert task.largest <= 100


def test_overlapping_chunks_agree_including_noise():
    talk = scene(20.0)
    task = BrightnessTask(noisy=0.1)
    cut = SceneSeparator(task, None, longest=3.0, overlap=0.6).tracks(talk)
    whole = SceneSeparator(task, None, longest=60.0).tracks(talk)
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_each_track_has_its_own_noise():
    talk = scene(2.0)
    talk.mixture[:] = 0
    first, second = SceneSeparator(BrightnessTask(noisy=1.0), None).tracks(talk)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2


def test_where_the_video_ends_early_mouths_count_as_not_visible():
    talk = scene(3.0, video=50)
    tracks = SceneSeparator(BrightnessTask(), None).tracks(talk)
    assert np.abs(tracks[:, : 50 * HOP]).max() > 0
    assert np.abs(tracks[:, 50 * HOP :]).max() == 0


def test_tracks_and_residual_are_the_mixture():
    talk = scene(9.0)
    pieces = list(SceneSeparator(BrightnessTask(), None, longest=4.0).pieces(talk))
    total = np.concatenate([p.tracks.sum(0) + p.residual for p in pieces])
    np.testing.assert_allclose(total, talk.mixture, atol=1e-6)
    assert [p.start for p in pieces] == list(np.cumsum([0, *(p.tracks.shape[1] for p in pieces)]))[
        :-1
    ]


def test_with_shared_residual_the_tracks_sum_to_the_mixture():
    talk = scene(9.0)
    tracks = SceneSeparator(BrightnessTask(), None, longest=4.0, share_residual=True).tracks(talk)
    np.testing.assert_allclose(tracks.sum(0), talk.mixture, atol=1e-6)


def test_a_silent_track_gets_no_share():
    voices = np.stack((np.ones(10), np.zeros(10))).astype(np.float32)
    np.testing.assert_allclose(
        with_shared_residual(voices, np.full(10, 3.0)), [[3.0] * 10, [0.0] * 10]
    )


def test_confidence_of_one_track_is_the_agreement_of_its_samples():
    draw = np.random.default_rng(0)
    voice = draw.standard_normal(50000)
    half = voice + draw.standard_normal((3, 50000))
    for drawn, wanted in (
        (np.stack([voice] * 3), 1.0),
        (draw.standard_normal((3, 50000)), 0.0),
        (half, 0.5),
    ):
        assert confidence(drawn[:, None])[0] == pytest.approx(wanted, abs=0.02)
    assert np.isnan(confidence(voice[None, None]))
    assert np.isnan(confidence(np.zeros((3, 1, 100))))


def test_confidence_of_equal_tracks_is_zero():
    one, two = np.random.default_rng(0).standard_normal((2, 50000))
    mixture = one + two

    def sure(*tracks):
        return confidence(np.stack(tracks)[None])

    np.testing.assert_allclose(sure(one, two), 1, atol=0.02)
    np.testing.assert_allclose(sure(mixture, 0.5 * mixture), 0, atol=1e-9)
    # 60 degrees apart
    np.testing.assert_allclose(sure(one, one + 3**0.5 * two), 0.5, atol=0.02)
    np.testing.assert_allclose(sure(one, -one), 1)  # not what the other one says
    # of three the nearest counts; who is silent is nobody
    np.testing.assert_allclose(sure(one, two, one), [0, 1, 0], atol=0.02)
    np.testing.assert_allclose(sure(one, 0 * one), [1, np.nan])


def test_samples_that_differ_lower_the_confidence_of_distinct_tracks():
    draw = np.random.default_rng(0)
    one, two = draw.standard_normal((2, 50000))
    noisy = np.stack([one, two]) + draw.standard_normal((4, 2, 50000))
    np.testing.assert_allclose(confidence(noisy), 0.5, atol=0.02)
    mixed = np.stack([one + two] * 2) + draw.standard_normal((4, 2, 50000))
    np.testing.assert_allclose(confidence(mixed), 0, atol=0.02)


def test_confidence_is_that_of_the_chunks():
    talk = scene(6.0)
    turns = (np.arange(150) // 10 % 2 * 255).astype(np.uint8)
    mouths = (np.broadcast_to(m[:, None, None], (150, 96, 96)) for m in (turns, 255 - turns))
    taking_turns = replace(talk, mouth=list(mouths))
    for samples in (1, 3):
        sure = SceneSeparator(BrightnessTask(), None, longest=4.0, samples=samples)
        sure.tracks(taking_turns)
        assert [c.start for c in sure.confidences] == [0.0, 2.0]
        assert all((c.values > 0.999).all() for c in sure.confidences)
    unsure = SceneSeparator(BrightnessTask(noisy=1.0), None, longest=4.0, samples=3)
    unsure.tracks(taking_turns)
    assert all((c.values < 0.1).all() for c in unsure.confidences)
    together = SceneSeparator(BrightnessTask(), None, longest=4.0, samples=3)
    together.tracks(replace(talk, mouth=[talk.mouth[0]] * 2))
    assert all((c.values < 1e-6).all() for c in together.confidences)


def test_the_tracks_do_not_depend_on_the_number_of_samples():
    talk, task = scene(5.0), BrightnessTask(noisy=0.3)
    one, three = (SceneSeparator(task, None, samples=n).tracks(talk) for n in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_progress_adds_up_to_the_recording():
    seconds = []
    list(
        SceneSeparator(BrightnessTask(), None, longest=4.0, progress=seconds.append).pieces(
            scene(17.0)
        )
    )
    assert len(seconds) > 3 and sum(seconds) == pytest.approx(17.0, abs=0.04)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """Sound and video are on disk; one chunk is in memory at a time."""
    peaks = []
    for number, seconds in enumerate((70, 210)):
        frames = seconds * 25
        sound = np.memmap(tmp_path / f"s{number}", np.float32, "w+", shape=seconds * 16000)
        mouth = np.memmap(tmp_path / f"m{number}", np.uint8, "w+", shape=(frames, 96, 96))
        talk = Scene(
            sound, [mouth] * 2, [np.ones(frames, bool)] * 2, np.zeros((2, 224, 224, 3), np.uint8)
        )
        pieces = SceneSeparator(BrightnessTask(), None, longest=4.0).pieces(talk)
        tracemalloc.start()
        write_tracks([tmp_path / "a.wav", tmp_path / "b.wav"], pieces)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_files_that_would_clip_are_turned_down_alike(tmp_path):
    voices = np.array([[1.5, 0.5], [0.25, -0.5]], np.float32)
    pieces = [Piece(0, voices, np.array([0.1, 0.0], np.float32))]
    names = [tmp_path / f"{n}.wav" for n in ("a", "b", "rest")]
    write_tracks(names[:2], pieces, residual=names[2])
    a, b, rest = (read_wav(name)[0] for name in names)
    gain = 0.999 / 1.5
    np.testing.assert_allclose(a, voices[0] * gain, atol=1e-4)
    np.testing.assert_allclose(b, voices[1] * gain, atol=1e-4)
    np.testing.assert_allclose(rest, [0.1 * gain, 0.0], atol=1e-4)


def test_people_who_take_no_part_are_silent_and_the_residual_has_the_rest():
    """The track fades within 10 ms; chunks agree on where."""
    talk = scene(9.0)
    there = np.ones((2, talk.frames), bool)
    there[0, 40:120] = False
    talk.present = list(there)
    pieces = list(SceneSeparator(BrightnessTask(), None, longest=3.0, overlap=0.6).pieces(talk))
    voices = np.concatenate([p.tracks for p in pieces], 1)
    residual = np.concatenate([p.residual for p in pieces])
    assert not voices[0, 40 * HOP + 81 : 120 * HOP - 81].any()
    talk.present = None
    free = SceneSeparator(BrightnessTask(), None, longest=3.0, overlap=0.6).tracks(talk)
    np.testing.assert_array_equal(voices[1], free[1])
    np.testing.assert_allclose(voices[0, : 40 * HOP - 81], free[0, : 40 * HOP - 81], atol=1e-6)
    np.testing.assert_allclose(voices.sum(0) + residual, talk.mixture, atol=1e-6)


def test_a_chunk_without_people_needs_no_network_and_tracks_keep_their_noise():
    class Counting(BrightnessTask):
        asked = 0

        def separate(self, mixture, mouth, *args, **kwargs):
            Counting.asked += mouth.shape[1]
            return super().separate(mixture, mouth, *args, **kwargs)

    talk, task = scene(9.0), Counting(noisy=0.3)
    whole = SceneSeparator(task, None, longest=3.0, overlap=0.6).tracks(talk)
    everybody, Counting.asked = Counting.asked, 0
    there = np.ones((2, talk.frames), bool)
    there[0] = False
    talk.present = list(there)
    half = SceneSeparator(task, None, longest=3.0, overlap=0.6).tracks(talk)
    assert Counting.asked == everybody / 2
    np.testing.assert_array_equal(half[1], whole[1])
    assert not half[0].any()


def test_the_residual_is_shared_among_the_people_who_take_part():
    talk = scene(4.0)
    there = np.ones((2, talk.frames), bool)
    there[0, 50:] = False
    talk.present = list(there)
    tracks = SceneSeparator(BrightnessTask(), None, share_residual=True).tracks(talk)
    np.testing.assert_allclose(tracks.sum(0), talk.mixture, atol=1e-5)
    assert not tracks[0, 50 * HOP + 81 :].any()
