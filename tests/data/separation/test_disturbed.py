"""Disturbed videos: frames, validity mask, unchanged audio."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from voicediff.data.separation.augmentation import blurred
from voicediff.data.separation.clips import Clip, write_clip
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.data.separation.disturbed import ALIGNED, CONDITIONS, DisturbedMixtures, shown_late
from voicediff.data.separation.mixtures import Entry, Mixture, MixtureList, Source
from voicediff.data.separation.talks import Prepared

LENGTH, START, COUNT = 40, 15, 20
BY_NAME = {condition.name: condition for condition in CONDITIONS}


@pytest.fixture
def prepared(tmp_path):
    """Two clips whose frame k is grey k + 1 with some texture; frame 3 of the clips is not seen."""
    found = {}
    for number, name in enumerate("ab"):
        draw = np.random.default_rng(number)
        grey = np.arange(1, LENGTH + 1, dtype=np.uint8)[:, None, None]
        mouth = grey + draw.integers(0, 100, (1, 96, 96), np.uint8)
        valid = np.arange(LENGTH) != 3
        audio = draw.integers(-1000, 1000, LENGTH * 640, np.int16)
        face = np.full((224, 224, 3), 90, np.uint8)
        write_clip(tmp_path / f"{name}.npz", Clip(audio, mouth, valid, face))
        found[name] = Prepared(Entry(name, name, "", LENGTH), tmp_path / f"{name}.npz")
    return found


@pytest.fixture
def made():
    sources = (Source("a", START, 0.0), Source("b", START, 0.0))
    return MixtureList("own", "test", (Mixture("m", "different-voice", COUNT, sources),))


def disturbed(prepared, made, name, seed=0):
    return DisturbedMixtures(prepared, made, BY_NAME[name], seed).item(0, 0)


def test_the_aligned_condition_leaves_mixtures_unchanged(prepared, made):
    plain = ListedMixtures(prepared, made).item(0, 0)
    same = DisturbedMixtures(prepared, made, ALIGNED).item(0, 0)
    assert plain.keys() == same.keys()
    assert all(np.array_equal(plain[name], same[name]) for name in plain)


@pytest.mark.parametrize("name", BY_NAME)
def test_audio_and_shapes_are_the_same_under_every_condition(prepared, made, name):
    plain, found = ListedMixtures(prepared, made).item(0, 0), disturbed(prepared, made, name)
    for key in ("mixture", "sources", "utt"):
        assert np.array_equal(plain[key], found[key])
    assert all(plain[key].shape == found[key].shape for key in ("mouth", "valid", "face"))
    again = disturbed(prepared, made, name)
    assert np.array_equal(found["mouth"], again["mouth"])
    if name != "aligned":
        assert not np.array_equal(plain["mouth"], found["mouth"])


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith("shift")])
def test_late_videos_repeat_earlier_frames(prepared, made, name):
    frames = int(name.removeprefix("shift_").removesuffix("ms")) // 40
    plain = ListedMixtures(prepared, made).item(0, 0)["mouth"].astype(int)
    found = disturbed(prepared, made, name)["mouth"].astype(int)
    assert BY_NAME[name].title.endswith("late" if frames > 0 else "early")
    seen = (found - plain)[0, :, 0, 0]
    held = np.clip(np.arange(START, START + COUNT) - frames, 0, LENGTH - 1)
    assert np.array_equal(seen, held - np.arange(START, START + COUNT))


def test_the_first_or_last_frame_is_repeated_beyond_the_clip(prepared):
    path = prepared["a"].path
    mouth, valid = shown_late(path, 0, COUNT, LENGTH, 10)
    assert (mouth[:11] == mouth[0]).all() and mouth[11, 0, 0] == mouth[10, 0, 0] + 1
    assert np.flatnonzero(~valid).tolist() == [13]
    mouth, _ = shown_late(path, LENGTH - COUNT, COUNT, LENGTH, -10)
    assert (mouth[9:] == mouth[9]).all() and mouth[8, 0, 0] == mouth[9, 0, 0] - 1


def test_missing_frozen_occluded_and_blurred_videos(prepared, made):
    plain = ListedMixtures(prepared, made).item(0, 0)["mouth"]
    missing = disturbed(prepared, made, "missing")
    assert not missing["valid"].any() and missing["blind"].all()
    assert not missing["mouth"].any() and not missing["face"].any()
    frozen = disturbed(prepared, made, "frozen")
    assert frozen["valid"].all() and not np.diff(frozen["mouth"].astype(int), axis=1).any()
    assert frozen["face"].any() and not frozen["blind"].any()
    occluded = disturbed(prepared, made, "occluded")["mouth"]
    hidden = (occluded != plain).mean((2, 3))
    assert (hidden > 0.1).all() and hidden.min() == pytest.approx(hidden.max(), abs=0.3)
    dim = disturbed(prepared, made, "blurred")["mouth"]
    assert (dim.std((2, 3)) < 0.7 * plain.std((2, 3))).all()


def test_blurring_is_a_gaussian_filter_of_unit_sum():
    """The filter of scipy, which knows the edges of a picture in another way, so away from them."""
    mouth = np.zeros((2, 96, 96), np.uint8)
    mouth[0, 48, 40:56], mouth[1, 40:56, 48] = 255, 255
    found, _ = blurred(mouth, np.ones(2, bool), slice(None), np.random.default_rng(3))
    width = np.random.default_rng(3).uniform(2, 10)
    wanted = gaussian_filter(mouth.astype(float), (0, width, width), mode="constant", truncate=12)
    assert found.max() > 5 and np.abs(found - wanted).max() < 1


def test_another_seed_gives_another_frozen_frame_and_box(prepared, made):
    for name in ("frozen", "occluded"):
        first, second = (disturbed(prepared, made, name, seed)["mouth"] for seed in (0, 1))
        assert not np.array_equal(first, second)
