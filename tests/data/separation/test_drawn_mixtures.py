"""Training mixtures: augmentation, options of a phase, playback speed."""

import numpy as np
import pytest

from voicediff.data.separation.augmentation import VideoAugmentation
from voicediff.data.separation.clips import Clip, read_clip, write_clip
from voicediff.data.separation.dataset import DrawnMixtures, MixtureOptions, read_played
from voicediff.data.separation.mixtures import Entry
from voicediff.data.separation.talks import Prepared, write_prepared
from voicediff.diffusion.noise import item_seed
from voicediff.errors import ConfigError
from voicediff.video.constants import HOP, SAMPLE_RATE

FRAMES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two men and two women, two clips each, with grey faces."""
    folder, prepared = tmp_path_factory.mktemp("talks"), []
    for number in range(8):
        draw = np.random.default_rng(number)
        audio = draw.integers(-1000, 1000, (FRAMES + 2) * HOP, np.int16)
        mouth = draw.integers(0, 255, (FRAMES + 2, 96, 96), np.uint8)
        face = np.full((224, 224, 3), 90, np.uint8)
        entry = Entry(f"clip{number}", f"speaker{number // 2}", "mmmmffff"[number], FRAMES + 2)
        path = folder / f"{entry.id}.npz"
        write_clip(path, Clip(audio, mouth, np.ones(FRAMES + 2, bool), face))
        prepared.append(Prepared(entry, path))
    write_prepared(folder, prepared)
    return folder


def drawn(folder, usual=VideoAugmentation(), **options):
    made = DrawnMixtures(folder, MixtureOptions(frames=FRAMES, **options), usual)
    return [made.item(index, seed=index) for index in range(40)]


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 20, 60), (1.0, 80, 80)])
def test_faces_are_dropped_at_the_given_rate(folder, share, low, high):
    items = drawn(folder, VideoAugmentation(drop_face=share))
    hidden = [not face.any() for item in items for face in item["face"]]
    assert low <= sum(hidden) <= high
    assert all(item["valid"].all() and item["mouth"].any() for item in items)


def test_a_phase_uses_only_its_kinds_of_pairs(folder):
    assert {item["pair"] for item in drawn(folder, pairs=["different-gender"])} == {
        "different-gender"
    }
    assert len({item["pair"] for item in drawn(folder)}) == 3


def test_the_augmentation_of_a_phase_overrides_that_of_the_task(folder):
    always = VideoAugmentation(missing=1.0)
    assert not any(item["valid"].any() for item in drawn(folder, always))
    assert all(
        item["valid"].all() for item in drawn(folder, always, augmentation=VideoAugmentation())
    )


def test_drop_all_makes_all_videos_of_a_mixture_missing_or_frozen(folder):
    for item in drawn(folder, VideoAugmentation(drop_all=1.0)):
        missing = ~item["valid"].any(1)
        frozen = (item["mouth"] == item["mouth"][:, :1]).all((1, 2, 3))
        assert item["blind"].all() and (missing.all() or (frozen.all() and item["valid"].all()))
    blind = [item["blind"].tolist() for item in drawn(folder, VideoAugmentation(drop_all=0.5))]
    assert {tuple(b) for b in blind} == {(True, True), (False, False)}


def test_occlude_all_hides_all_mouths_of_a_mixture(folder):
    def hidden(item):  # a box of 40 by 40 at the least that never changes
        still = (item["mouth"] == item["mouth"][:, :1]).all(1).sum((1, 2))
        return tuple(still >= 40 * 40)

    items = drawn(folder, VideoAugmentation(occlude_all=1.0, missing=0.5, frozen=0.5))
    assert {hidden(item) for item in items} == {(True, True)}
    assert all(item["valid"].all() and not item["blind"].any() for item in items)
    assert {hidden(item) for item in drawn(folder, VideoAugmentation(occlude_all=0.5))} == {
        (True, True),
        (False, False),
    }


def test_drop_others_is_random_per_speaker(folder):
    alone = np.stack([item["alone"] for item in drawn(folder, VideoAugmentation(drop_others=0.5))])
    assert alone.any(0).all() and not alone.all(1).all() and (alone[:, 0] != alone[:, 1]).any()
    assert not any(item["alone"].any() for item in drawn(folder))


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A clip of 60 frames whose pictures show their number, with a tone of 400 Hz."""
    path, numbers = tmp_path_factory.mktemp("counting") / "clip.npz", np.arange(60, dtype=np.uint8)
    tone = 9000 * np.sin(2 * np.pi * 400 / SAMPLE_RATE * np.arange(60 * HOP))
    mouth = np.broadcast_to(numbers[:, None, None], (60, 96, 96))
    valid, face = numbers % 2 == 0, np.zeros((224, 224, 3), np.uint8)
    write_clip(path, Clip(tone.astype(np.int16), mouth, valid, face))
    return path


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_speed_changes_pitch_and_video_together(counting, speed):
    clip = read_played(counting, 5, 40, 60, speed=speed)
    spectrum = np.abs(np.fft.rfft(clip.audio * np.hanning(len(clip.audio))))
    assert len(clip.audio) == 40 * HOP and len(clip) == 40
    assert spectrum.argmax() * SAMPLE_RATE / len(clip.audio) == pytest.approx(400 * speed, abs=1)
    shown = clip.mouth[:, 0, 0].astype(int)
    assert (np.abs(shown - 5 - (np.arange(40) + 0.5) * speed) <= 1).all()
    assert (clip.valid == (shown % 2 == 0)).all()


def test_speed_1_returns_the_stored_clip(counting):
    clip, stored = read_played(counting, 5, 40, 60), read_clip(counting, 5, 40)
    assert all(np.array_equal(getattr(clip, n), getattr(stored, n)) for n in vars(stored))
    late = read_played(counting, 5, 40, 60, shift=100)
    assert np.array_equal(late.audio[100:], stored.audio[:-100])
    assert np.array_equal(late.mouth, stored.mouth)


@pytest.mark.parametrize("start", [0, 10, 20])
def test_a_faster_clip_ends_with_the_stored_one(counting, start):
    clip = read_played(counting, start, 40, 60, shift=-300, speed=1.5)
    assert clip.mouth[0, 0, 0] == 0 and clip.mouth[-1, 0, 0] == 59
    assert len(clip.audio) == 40 * HOP


def test_two_clips_of_one_speaker_get_the_same_speed(folder):
    plain = DrawnMixtures(folder, MixtureOptions(frames=FRAMES), VideoAugmentation())
    fast = DrawnMixtures(folder, MixtureOptions(frames=FRAMES, speed=0.3), VideoAugmentation())
    again = [[fast.item(i, seed=i) for i in range(30)] for _ in range(2)]
    for number, (item, repeated) in enumerate(zip(*again, strict=True)):
        assert np.array_equal(item["sources"], repeated["sources"])
        assert not np.array_equal(item["sources"], plain.item(number, seed=number)["sources"])
        mixture = fast.drawer.draw(item_seed(number, "draw"), item["pair"])
        speeds = fast._speeds(mixture, number)
        assert (np.abs(speeds - 1) <= 0.3).all()
        assert (speeds[0] == speeds[1]) == (item["pair"] == "same-voice")


@pytest.mark.parametrize("speed", [-0.1, 1.0])
def test_an_impossible_speed_is_refused(folder, speed):
    with pytest.raises(ConfigError, match=r"data\.speed"):
        drawn(folder, speed=speed)
