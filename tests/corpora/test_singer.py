import librosa
import numpy as np
import pytest

from voicediff.corpora.csd.corpus import compose, perform
from voicediff.corpora.csd.singer import SungNote, sing
from voicediff.corpora.csd.voice import CONTROL, RATE
from voicediff.text.phones import parse


def one(phones, start=0.5, end=1.5, pitch=62, seed=0):
    """A single note in two seconds."""
    note = SungNote(start, end, pitch, parse(phones.split("_")))
    return sing([note], 2.0, np.random.Generator(np.random.Philox(seed)))


def level(wav, start, end, low=0.0, high=RATE / 2):
    """Power in a band (Hz) between two times (s), in dB."""
    part = wav[round(start * RATE) : round(end * RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2 / len(part)
    frequencies = np.fft.rfftfreq(len(part), 1 / RATE)
    return 10 * np.log10(power[(frequencies >= low) & (frequencies < high)].sum() + 1e-12)


@pytest.fixture(scope="module")
def song():
    made = compose(20, 30, seed=1)[0]
    return made.score, perform(made, seed=1).wav


def test_held_notes_are_within_10_cents_of_the_score(song):
    score, wav = song
    f0 = librosa.yin(wav, fmin=100, fmax=1000, sr=RATE, frame_length=2048, hop_length=512)
    times = np.arange(len(f0)) * 512 / RATE
    errors = []
    for note in score.notes:
        inside = (times > note.start + 0.15) & (times < note.end - 0.1)
        if note.end - note.start > 0.35 and inside.sum() > 3:
            errors.append(np.median(12 * np.log2(f0[inside] / 440) + 69 - note.pitch) * 100)
    assert len(errors) > 15
    assert np.median(np.abs(errors)) < 10


def test_a_song_has_the_duration_of_its_score_and_does_not_clip(song):
    score, wav = song
    assert len(wav) / RATE == pytest.approx(score.duration, abs=0.01)
    assert 0.2 < np.abs(wav).max() < 1.0


def test_a_consonant_precedes_its_note_and_the_vowel_begins_with_it():
    wav = one("s_a").wav
    assert (
        level(wav, 0.42, 0.47, 5000) > level(wav, 0.60, 0.65, 5000) + 10
    )  # fricative noise before
    assert (
        level(wav, 0.55, 0.60, 0, 1500) > level(wav, 0.42, 0.47, 0, 1500) + 20
    )  # voicing from the note on


def test_a_plosive_is_silent_before_its_burst():
    wav = one("kk_a").wav
    closure, burst = level(wav, 0.42, 0.46), level(wav, 0.475, 0.50)
    assert burst > closure + 15


def test_a_stop_coda_is_silent_and_a_nasal_coda_is_voiced():
    stop, nasal = one("g_a_k").wav, one("g_a_ng").wav
    assert level(nasal, 1.42, 1.45, 0, 1000) > level(stop, 1.455, 1.48, 0, 1000) + 20


@pytest.mark.parametrize(
    ("vowel", "band", "other"),
    [
        ("a", (900, 1900), (2200, 3300)),
        ("i", (2200, 3300), (900, 1900)),
        ("e", (1900, 2800), (1000, 1700)),
        ("u", (250, 1000), (1500, 3000)),
    ],
)
def test_vowels_have_their_formants(vowel, band, other):
    wav = one(vowel).wav
    assert level(wav, 0.8, 1.2, *band) > level(wav, 0.8, 1.2, *other) + 6


def test_a_glide_moves_the_second_formant_down():
    wav = one("y_u").wav
    before, after = (
        level(wav, *span, 1900, 3000) - level(wav, *span, 300, 1000)
        for span in ((0.49, 0.53), (0.9, 0.94))
    )
    assert before > after + 10


def test_long_notes_have_a_vibrato_of_about_5_4_hz():
    rates = []
    for seed in range(12):
        f0 = one("a", 0.3, 1.9, seed=seed).f0
        part = 12 * np.log2(f0[round(1.0 * CONTROL) : round(1.75 * CONTROL)])
        part = (part - part.mean()) * np.hanning(len(part))
        spectrum = np.abs(np.fft.rfft(part, 8192))
        frequencies = np.fft.rfftfreq(8192, 1 / CONTROL)
        band = (frequencies > 3) & (frequencies < 9)
        rates.append(frequencies[band][spectrum[band].argmax()])
    assert np.median(rates) == pytest.approx(5.4, abs=0.4)


def test_performances_with_different_seeds_differ():
    first, second = one("a", seed=1), one("a", seed=2)
    assert np.abs(first.f0[400:600] - second.f0[400:600]).max() > 0.5
    assert not np.allclose(first.wav, second.wav, atol=0.05)


def test_f0_is_zero_in_unvoiced_frames():
    f0 = one("s_a").f0
    assert not f0[: round(0.35 * CONTROL)].any()
    assert (f0[round(0.6 * CONTROL) : round(1.4 * CONTROL)] > 0).all()
