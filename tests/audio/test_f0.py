"""The F0 tracker on tones of known pitch."""

import numpy as np
import pytest
from real_data import LITTLE_STAR, needs_little_star

from voicediff.audio import f0, f0_and_periodicity, read_wav

RATE, HOP = 22050, 256


def synthesize(hz, harmonics=20, rate=RATE):
    """Harmonics of a pitch curve hz (N,) with falling amplitudes."""
    phase = 2 * np.pi * np.cumsum(hz) / rate
    numbers = np.arange(1, harmonics + 1)[:, None]
    audible = numbers * hz < rate / 2
    return 0.1 * (np.sin(numbers * phase + numbers**2) / numbers * audible).sum(0)


def cents(estimate, hz, hop=HOP):
    """Deviation of each frame from the curve at the frame's centre."""
    centres = np.arange(len(estimate)) * hop + hop // 2
    assert (estimate > 0).all()
    return 1200 * np.log2(estimate / hz[centres])


def seconds(length):
    return np.arange(round(length * RATE)) / RATE


@pytest.mark.parametrize("octaves", [0.8, -0.8])
def test_glides_are_followed_without_delay(octaves):
    hz = (100 if octaves > 0 else 900) * 2 ** (octaves * seconds(3.5))
    error = cents(f0(synthesize(hz), RATE, HOP), hz)
    assert np.median(np.abs(error)) < 1.5
    assert np.abs(np.median(error)) < 1.0
    assert np.percentile(np.abs(error), 95) < 5


@pytest.mark.parametrize("hz", [65.0, 110.0, 261.6, 440.0, 987.8, 1150.0])
def test_steady_tones_are_within_3_cents(hz):
    curve = np.full(RATE, hz)
    assert np.abs(cents(f0(synthesize(curve), RATE, HOP), curve)).max() < 3.0


def test_vibrato_is_kept():
    hz = 300 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.4 * seconds(2)))
    error = cents(f0(synthesize(hz), RATE, HOP), hz)[2:-2]  # at the ends windows are not centred
    assert np.median(np.abs(error)) < 3
    assert np.abs(error).max() < 6  # of 50 cents depth


@pytest.mark.parametrize("strong", [2, 3])
def test_a_strong_harmonic_causes_no_octave_error(strong):
    hz = np.full(RATE, 220.0)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    wav = 0.06 * np.sin(phase) + 0.3 * np.sin(strong * phase) + 0.06 * np.sin(5 * phase)
    assert np.abs(cents(f0(wav, RATE, HOP), hz)).max() < 20


def test_a_pure_tone_causes_no_octave_error():
    hz = np.full(RATE, 440.0)
    assert np.abs(cents(f0(synthesize(hz, harmonics=1), RATE, HOP), hz)).max() < 3


def test_noise_and_silence_are_unvoiced():
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    assert (f0(noise, RATE, HOP) == 0).all()
    assert (f0(np.zeros(RATE), RATE, HOP) == 0).all()


def test_a_noisy_tone_is_voiced_and_accurate():
    hz = np.full(2 * RATE, 330.0)
    wav = synthesize(hz)
    noise = np.random.default_rng(1).standard_normal(len(wav))
    estimate = f0(wav + 0.25 * wav.std() * noise, RATE, HOP)  # 12 dB
    assert np.median(np.abs(cents(estimate, hz))) < 5


def test_voicing_begins_and_ends_with_the_tone():
    wav = np.zeros(3 * RATE)
    wav[RATE : 2 * RATE] = synthesize(np.full(RATE, 250.0))
    wav += 1e-4 * np.random.default_rng(2).standard_normal(len(wav))
    voiced = np.flatnonzero(f0(wav, RATE, HOP))
    assert abs(voiced[0] - RATE / HOP) <= 2 and abs(voiced[-1] - 2 * RATE / HOP) <= 2
    assert (np.diff(voiced) == 1).all()


@pytest.mark.parametrize("rate, hop", [(44100, 512), (16000, 160)])
def test_other_rates_and_hops(rate, hop):
    hz = np.full(rate, 300.0)
    error = cents(f0(synthesize(hz, rate=rate), rate, hop), hz, hop)
    assert len(error) == rate // hop and np.abs(error).max() < 3


@pytest.mark.parametrize("samples", [0, 100, 256, 700, 1000])
def test_short_sounds_give_one_value_per_hop(samples):
    assert f0(np.ones(samples), RATE, HOP).shape == (samples // HOP,)


@needs_little_star
def test_a_real_song_agrees_with_praat():
    parselmouth = pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    wav, rate = read_wav(LITTLE_STAR / "wav/little_star.wav")
    ours = f0(wav, rate, HOP)
    pitch = parselmouth.Sound(wav.astype(float), rate).to_pitch_ac(
        time_step=0.005, pitch_floor=60, pitch_ceiling=1200
    )
    centres = (np.arange(len(ours)) + 0.5) * HOP / rate
    praat = np.nan_to_num([pitch.get_value_at_time(t) for t in centres])
    both = (ours > 0) & (praat > 0)
    error = np.abs(1200 * np.log2(ours[both] / praat[both]))
    assert np.median(error) < 5 and np.mean(error < 50) > 0.98
    assert np.mean((ours > 0) == (praat > 0)) > 0.93


def test_periodicity_is_high_for_tones_low_for_noise_and_0_in_silence():
    rate, hop = 22050, 256
    time = np.arange(rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * time).astype(np.float32)
    noise = 0.3 * np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    found = [f0_and_periodicity(x, rate, hop)[1] for x in (tone, noise, np.zeros_like(tone))]
    assert found[0][3:-3].min() > 0.99 and found[1].max() < 0.6 and found[2].max() == 0
    assert all(len(x) == rate // hop for x in found)
