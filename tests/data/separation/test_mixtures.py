"""Mixture lists: deterministic, with a hash, every kind of pair, and the levels of the protocol."""

import json

import numpy as np
import pytest

from voicediff.data.separation.clips import Clip
from voicediff.data.separation.mixtures import (
    PROTOCOLS,
    Drawer,
    Entry,
    Mixture,
    Source,
    draw_list,
    mix,
    read_list,
)
from voicediff.errors import ConfigError, DataError


def entries(men=3, women=3, clips=3, frames=80):
    people = [(f"m{i}", "m") for i in range(men)] + [(f"f{i}", "f") for i in range(women)]
    return [
        Entry(f"{name}-{k}", name, gender, frames + k)
        for name, gender in people
        for k in range(clips)
    ]


def clip(frames, seed, level=1000):
    draw = np.random.default_rng(seed)
    audio = (level * draw.standard_normal(frames * 640)).astype(np.int16)
    mouth = draw.integers(0, 255, (frames, 96, 96)).astype(np.uint8)
    return Clip(audio, mouth, np.ones(frames, bool), np.zeros((224, 224, 3), np.uint8))


def test_protocols_have_the_lengths_of_their_papers():
    assert PROTOCOLS["avdiffuss"].frames * 640 == 32640 and PROTOCOLS["avdiffuss"].level == 0
    assert PROTOCOLS["lrs3-2mix"].frames * 640 == 32000 and PROTOCOLS["lrs3-2mix"].level == 5


def test_own_lists_contain_every_kind_of_pair():
    made = draw_list(Drawer(entries(), PROTOCOLS["own"]), "own", "test", 30, seed=1)
    people = {e.id: e for e in entries()}
    kinds = {"same-voice": 0, "same-gender": 0, "different-gender": 0}
    for mixture in made.mixtures:
        a, b = (people[s.clip] for s in mixture.sources)
        kinds[mixture.pair] += 1
        assert a.id != b.id
        assert (a.speaker == b.speaker) == (mixture.pair == "same-voice")
        assert (a.gender == b.gender) == (mixture.pair != "different-gender")
    assert set(kinds.values()) == {10}


def test_lists_depend_only_on_seed_and_clips():
    drawers = [Drawer(e, PROTOCOLS["own"]) for e in (entries(), entries()[::-1])]
    first, again = (draw_list(d, "own", "test", 12, seed=1) for d in drawers)
    assert first == again and first.hash == again.hash
    assert draw_list(drawers[0], "own", "test", 12, seed=2).hash != first.hash
    assert (
        draw_list(drawers[0], "own", "dev", 12, seed=1).mixtures[0].sources
        != first.mixtures[0].sources
    )


def test_a_list_is_read_back_and_a_changed_one_is_refused(tmp_path):
    made = draw_list(
        Drawer(entries(), PROTOCOLS["lrs3-2mix"]), "lrs3-2mix", "test", 5, seed=1, noise=(-20, -10)
    )
    made.write(tmp_path / "a.json")
    assert read_list(tmp_path / "a.json") == made
    content = json.loads((tmp_path / "a.json").read_text())
    content["mixtures"][2]["sources"][0]["gain"] += 1
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="was changed"):
        read_list(tmp_path / "a.json")


def test_mixtures_with_missing_clips_are_counted_not_replaced():
    made = draw_list(Drawer(entries(), PROTOCOLS["own"]), "own", "test", 30, seed=1)
    gone = made.mixtures[0].sources[0].clip
    kept = made.only(e.id for e in entries() if e.id != gone)
    assert kept.left_out == 30 - len(kept.mixtures) > 0 and kept.hash != made.hash
    assert set(kept.mixtures) < set(made.mixtures)


@pytest.mark.parametrize("name", ["own", "avdiffuss", "lrs3-2mix"])
def test_levels_and_starts_follow_the_protocol(name):
    protocol = PROTOCOLS[name]
    drawer = Drawer(entries(), protocol)
    levels, starts = [], []
    for seed in range(200):
        mixture = drawer.draw(seed, "different-voice")
        levels.append(mixture.sources[0].gain - mixture.sources[1].gain)
        starts += [s.start for s in mixture.sources]
        for source in mixture.sources:
            assert source.start + mixture.frames <= 80 + int(source.clip[-1])
    assert np.abs(levels).max() <= protocol.level + 1e-2
    assert np.ptp(levels) >= 1.8 * protocol.level
    assert (max(starts) == 0) == protocol.first


def test_the_mixture_is_the_sum_at_the_given_levels():
    wanted = Mixture("a", "same-gender", 10, (Source("x", 0, 2.0), Source("y", 0, -3.0)))
    mixed = mix(wanted, [clip(10, 0, 300), clip(10, 1, 3000)])
    assert np.allclose(mixed.mixture, mixed.sources.sum(0), atol=1e-6)
    ratio = 20 * np.log10(mixed.sources[0].std() / mixed.sources[1].std())
    assert ratio == pytest.approx(5.0, abs=0.01)
    assert np.abs(mixed.mixture).max() == pytest.approx(0.9, abs=1e-4)
    assert mixed.mouth.shape == (2, 10, 96, 96) and mixed.valid.all()


def test_noise_has_its_level_and_falls_by_3_db_an_octave():
    wanted = Mixture(
        "a", "same-gender", 200, (Source("x", 0, 0.0), Source("y", 0, 0.0)), noise=-12.0, seed=4
    )
    mixed = mix(wanted, [clip(200, 0), clip(200, 1)])
    noise = mixed.mixture - mixed.sources.sum(0)
    assert 20 * np.log10(noise.std() / mixed.sources[0].std()) == pytest.approx(-12, abs=0.05)
    power = np.square(np.abs(np.fft.rfft(noise)))
    hertz = np.fft.rfftfreq(len(noise), 1 / 16000)
    low, high = (power[(hertz > f) & (hertz < 2 * f)].mean() for f in (500, 2000))
    assert 10 * np.log10(low / high) == pytest.approx(6.0, abs=0.7)


def test_a_silent_source_stays_silent():
    wanted = Mixture("a", "same-gender", 10, (Source("x", 0, 0.0), Source("y", 0, 0.0)))
    mixed = mix(wanted, [clip(10, 0, 0), clip(10, 1)])
    assert not mixed.sources[0].any() and np.isfinite(mixed.mixture).all()


def test_three_speakers_are_three_people():
    drawer = Drawer(entries(), PROTOCOLS["own"], speakers=3)
    for seed in range(20):
        for pair in ("different-gender", "same-gender", "different-voice"):
            chosen = {s.clip.split("-")[0] for s in drawer.draw(seed, pair).sources}
            assert len(chosen) == 3
        assert drawer.draw(seed, "different-gender").pair == "different-gender"


def test_short_clips_are_named_and_not_used():
    drawer = Drawer([*entries(), Entry("z-0", "z", "m", 50)], PROTOCOLS["own"])
    assert drawer.too_short == ["z-0"]
    used = {s.clip for seed in range(100) for s in drawer.draw(seed, "different-voice").sources}
    assert "z-0" not in used


def test_unknown_genders_give_pairs_of_different_speakers():
    unknown = [Entry(e.id, e.speaker, "", e.frames) for e in entries()]
    made = draw_list(Drawer(unknown, PROTOCOLS["own"]), "own", "test", 10, seed=1)
    assert {m.pair for m in made.mixtures} == {"same-voice", "different-voice"}


def test_one_speaker_in_noise_is_a_mixture():
    drawer = Drawer(entries(), PROTOCOLS["own"], speakers=1)
    assert drawer.pairs == ("one-voice",)
    made = draw_list(drawer, "own", "dev", 8, seed=1, noise=(-12, -12))
    assert len(made.mixtures) == 8 and {m.pair for m in made.mixtures} == {"one-voice"}
    mixed = mix(made.mixtures[0], [clip(51, 0)])
    ratio = mixed.sources[0].std() / (mixed.mixture - mixed.sources[0]).std()
    assert 20 * np.log10(ratio) == pytest.approx(12, abs=0.1)


def test_impossible_mixtures_are_refused():
    with pytest.raises(DataError, match="no two clips of 51 frames"):
        draw_list(Drawer(entries(1, 0, 1), PROTOCOLS["own"]), "own", "dev", 3, seed=1)
    with pytest.raises(ConfigError, match="at least 1"):
        Drawer(entries(), PROTOCOLS["own"], speakers=0)
    with pytest.raises(ConfigError, match="no pair 'other'"):
        Drawer(entries(), PROTOCOLS["own"]).draw(0, "other")


def test_no_mixture_is_in_a_list_twice():
    made = draw_list(
        Drawer(entries(1, 1, 2), PROTOCOLS["avdiffuss"]), "avdiffuss", "test", 50, seed=1
    )
    pairs = [frozenset(s.clip for s in m.sources) for m in made.mixtures]
    assert len(pairs) == len(set(pairs)) == 4
