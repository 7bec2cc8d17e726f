"""Reference F0 of recordings: correct where the tracker makes octave errors, and cached."""

import sys

import numpy as np
import pytest

from voicediff.audio import MelSpec
from voicediff.errors import ConfigError, DataError
from voicediff.metrics import Item, reference_f0, score_row, singing_metrics
from voicediff.metrics.reference_f0 import (
    MARGIN,
    cached_pyin,
    note_ranges,
    pyin_f0,
    true_f0,
    with_f0,
)
from voicediff.music.score import Note, Score

SPEC = MelSpec(sample_rate=16000, n_fft=512, hop=160, win=512, n_mels=40, fmax=8000.0)
GLIDE = Score((Note(0.0, 0.5, 57, "라"), Note(0.5, 1.0, 61, "라")), 1.0)  # 220 to 277 Hz


def glide() -> tuple[np.ndarray, np.ndarray]:
    """A second from 220 to 277 Hz whose odd harmonics are weak, and F0 of its samples.

    Its difference function is nearly as deep at half the period, which causes octave errors.
    """
    time = np.arange(SPEC.sample_rate) / SPEC.sample_rate
    f0 = 220.0 * 2 ** (time * 4 / 12)
    phase = 2 * np.pi * np.cumsum(f0) / SPEC.sample_rate
    wav = sum((0.01 if k % 2 else 0.3) * np.sin(k * phase) / k for k in range(1, 9))
    return wav.astype(np.float32), f0


def at_frames(f0: np.ndarray) -> np.ndarray:
    return f0[SPEC.hop // 2 :: SPEC.hop]


def figures(reference: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    names = ("gross_pitch_error", "raw_pitch_accuracy")
    items = (Item(f0=np.asarray(f, np.float32)) for f in (reference, generated))
    return score_row(*([item] for item in items), SPEC, singing_metrics(names))


def test_pyin_follows_a_glide_where_the_tracker_makes_octave_errors():
    wav, f0 = glide()
    true, inside = at_frames(f0), slice(5, -5)
    found = pyin_f0(wav, SPEC, GLIDE)
    assert found.shape == true.shape
    assert np.abs(1200 * np.log2(found[inside] / true[inside])).max() < 25
    tracked = Item(wav=wav).prepared(SPEC).f0[inside]
    assert np.median(tracked / true[inside]) == pytest.approx(
        2, abs=0.05
    )  # the tracker's octave error


def test_the_search_range_of_a_note_includes_its_neighbours_unless_a_rest_lies_between():
    notes = (57, 64, 52)
    starts = (0.0, 0.5, 2.0)
    score = Score(tuple(Note(s, s + 0.5, p, "라") for s, p in zip(starts, notes, strict=True)), 2.5)
    found = [[12 * np.log2(hz / 440) + 69 for hz in pair] for pair in note_ranges(score)]
    expected = [[57, 64], [57, 64], [52, 52]]  # a rest of a second before the third
    assert found == [pytest.approx([low - MARGIN, high + MARGIN]) for low, high in expected]


def test_f0_is_replaced_where_both_are_voiced_and_voicing_is_kept():
    item = Item(f0=np.array([0, 100, 200, 300, 400], np.float32))
    assert with_f0(item, np.array([50, 110, 0, 310])).f0.tolist() == [0, 110, 200, 310, 400]


def test_the_f0_of_a_line_is_read_at_its_time_in_the_song(tmp_path):
    song = 100 + np.arange(2000.0)  # 2 s at 1000 a second
    np.savez(tmp_path / "song.npz", f0=song, rate=1000)
    found = true_f0(tmp_path / "song.npz", 0.5, 20, SPEC)
    assert found == pytest.approx(100 + 500 + 10 * (np.arange(20) + 0.5))
    (tmp_path / "song.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"song.npz: not the F0 of a song.*stage 1 again"):
        true_f0(tmp_path / "song.npz", 0.5, 20, SPEC)


def test_pyin_results_are_cached_until_the_waveform_changes(tmp_path, monkeypatch):
    computed = []

    def slow(wav, spec, score):
        computed.append(len(wav))
        return np.full(len(wav) // spec.hop, 220, np.float32)

    monkeypatch.setattr(reference_f0, "pyin_f0", slow)
    wav, path = glide()[0], tmp_path / "f0" / "line.npz"
    first = cached_pyin(wav, SPEC, GLIDE, path)
    assert np.array_equal(cached_pyin(wav, SPEC, GLIDE, path), first) and len(computed) == 1
    cached_pyin(wav * 0.5, SPEC, GLIDE, path)
    path.write_bytes(b"damaged")
    cached_pyin(wav, SPEC, GLIDE, path)
    assert len(computed) == 3


def test_without_librosa_the_error_names_the_alternatives(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(ConfigError, match=r"--reference-f0 tracker.*librosa.*pip install"):
        pyin_f0(glide()[0], SPEC, GLIDE)


def test_gross_and_fine_errors_are_separated():
    true = np.full(100, 200.0)
    sung = true * 2 ** (10 / 1200)
    sung[:4] *= 2  # an octave
    sung[4:10] = 0  # voicing lost
    found = figures(true, sung)
    assert found["gross_pitch_error"] == pytest.approx(4 / 94)
    assert found["fine_pitch_error"] == pytest.approx(10, abs=1e-2)
    assert found["raw_pitch_accuracy"] == pytest.approx(0.90)


def test_notes_outside_60_to_1200_hz_are_found():
    time = np.arange(SPEC.sample_rate) / SPEC.sample_rate
    wav = np.sin(2 * np.pi * 1397 * time).astype(np.float32)  # F6
    high = Score((Note(0.0, 1.0, 89, "라"),), 1.0)
    assert np.median(Item(wav=wav, score=high).prepared(SPEC).f0) == pytest.approx(1397, rel=0.01)
    assert np.median(Item(wav=wav).prepared(SPEC).f0) != pytest.approx(1397, rel=0.01)
