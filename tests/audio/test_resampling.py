"""Resampling: the pass band is kept, aliases are removed, and there is no delay."""

import numpy as np
import pytest
import soundfile

from voicediff.audio import read_wav
from voicediff.audio.resampling import resampled, stretched


def tone(hz, rate, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def level(sound):
    """Level of the middle half in dB relative to a sine of amplitude 1."""
    middle = sound[len(sound) // 4 : -len(sound) // 4].astype(np.float64)
    return 10 * np.log10(2 * np.mean(middle**2) + 1e-30)


@pytest.mark.parametrize(("hz", "lowest", "highest"), [(10000, -0.05, 0.05), (11500, -300, -100)])
def test_read_wav_keeps_10_khz_and_removes_11_5_khz(tmp_path, hz, lowest, highest):
    soundfile.write(tmp_path / "a.wav", tone(hz, 44100), 44100, subtype="FLOAT")
    sound, rate = read_wav(tmp_path / "a.wav", 22050)
    assert rate == 22050 and len(sound) == 22050 and sound.dtype == np.float32
    assert lowest < level(sound) < highest


@pytest.mark.parametrize("rates", [(44100, 22050), (16000, 8000), (22050, 44100), (48000, 22050)])
def test_resampling_does_not_delay(rates):
    rate, wanted = rates
    sound, expected = (tone(1000, r) for r in rates)
    found = resampled(sound, rate, wanted)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=1e-4)


def test_equal_rates_return_the_sound_itself():
    sound = tone(440, 8000)
    assert resampled(sound, 8000, 8000) is sound


@pytest.mark.parametrize("samples", [7000, 8000, 8001, 12345])
def test_stretched_sound_has_the_wanted_length_and_pitch(samples):
    found = stretched(tone(500, 8000), samples)
    assert len(found) == samples and found.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(found * np.hanning(samples)))
    assert spectrum.argmax() == 500  # the number of periods does not change


def test_stretching_keeps_16_bit_sound_16_bit():
    sound = np.round(tone(500, 8000) * 20000).astype(np.int16)
    assert stretched(sound, 9000).dtype == np.int16
