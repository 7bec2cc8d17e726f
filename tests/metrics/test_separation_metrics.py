"""Separation metrics against closed-form values."""

import sys

import numpy as np
import pytest
import scipy.signal

from voicediff.metrics import (
    SeparatedTrack,
    improved,
    mean_by_group,
    score_track,
    separation_metrics,
)
from voicediff.metrics.distortion import sdr, si_sdr, snr
from voicediff.registry import build, entries


def orthogonal(seed, samples=4000):
    """A signal and a noise of the same energy, orthogonal to each other."""
    draw = np.random.default_rng(seed)
    voice, noise = draw.standard_normal((2, samples))
    noise -= (noise @ voice) / (voice @ voice) * voice
    return voice, noise * np.linalg.norm(voice) / np.linalg.norm(noise)


def speech_like(seed, samples=24000):
    """Band-limited noise with a syllable-rate envelope."""
    draw = np.random.default_rng(seed)
    bands = scipy.signal.butter(2, (200, 3400), "bandpass", fs=16000, output="sos")
    syllables = 0.05 + np.abs(np.sin(2 * np.pi * 3 * np.arange(samples) / 16000 + seed))
    return 0.1 * syllables * scipy.signal.sosfilt(bands, draw.standard_normal(samples))


def measured(name, target, estimate, others=()):
    track = SeparatedTrack(target, estimate, np.array(others))
    return build("separation_metric", {"name": name}).measure(track)


@pytest.mark.parametrize("level", [-20.0, 0.0, 3.0, 40.0])
def test_si_sdr_and_snr_of_orthogonal_noise_are_its_level(level):
    voice, noise = orthogonal(0)
    noisy = voice + noise * 10 ** (-level / 20)
    assert si_sdr(voice, noisy) == pytest.approx(level)
    assert snr(voice, noisy) == pytest.approx(level)


def test_si_sdr_does_not_depend_on_level_and_snr_does():
    voice, noise = orthogonal(1)
    noisy = voice + 0.1 * noise
    assert si_sdr(voice, 7 * noisy) == pytest.approx(si_sdr(voice, noisy))
    assert si_sdr(voice, -noisy) == pytest.approx(si_sdr(voice, noisy))
    assert snr(voice, 0.5 * voice) == pytest.approx(20 * np.log10(2))


def test_sdr_allows_a_filter_of_512_taps_and_no_longer_one():
    voice, _ = orthogonal(2)
    draw = np.random.default_rng(3)
    short, long_ = draw.standard_normal(512), np.zeros(700)
    long_[650] = 1.0
    padded = np.concatenate((voice, np.zeros(800)))
    assert sdr(padded, np.convolve(padded, short)[: len(padded)]) > 90
    assert sdr(padded, np.convolve(padded, long_)[: len(padded)]) < 0
    assert si_sdr(padded, np.convolve(padded, short)[: len(padded)]) < 10


def test_sdr_is_the_projection_onto_delayed_targets():
    """Against least squares over an explicit matrix of delays."""
    draw = np.random.default_rng(4)
    voice, estimate = draw.standard_normal((2, 300))
    taps = 20
    delays = scipy.linalg.toeplitz(np.r_[voice, np.zeros(taps - 1)], np.zeros(taps))
    padded = np.r_[estimate, np.zeros(taps - 1)]
    best = delays @ np.linalg.lstsq(delays, padded, rcond=None)[0]
    expected = 10 * np.log10((best @ best) / np.square(padded - best).sum())
    assert sdr(voice, estimate, taps) == pytest.approx(expected, abs=1e-6)


def test_sdr_with_one_tap_is_si_sdr():
    voice, noise = orthogonal(5)
    estimate = 0.3 * voice + noise
    assert sdr(voice, estimate, taps=1) == pytest.approx(si_sdr(voice, estimate), abs=1e-6)


def test_perfect_and_silent_estimates_are_finite_and_silent_targets_nan():
    voice, _ = orthogonal(6)
    nothing = np.zeros_like(voice)
    for ratio in (si_sdr, snr, sdr):
        assert ratio(voice, voice) > 100
        assert np.isnan(ratio(nothing, voice))
    assert si_sdr(voice, nothing) < -100 and sdr(voice, nothing) < -100
    assert snr(voice, nothing) == pytest.approx(0.0)


def test_selection_is_1_for_the_own_speaker_and_0_for_another():
    voice, other = orthogonal(7)
    assert measured("selection", voice, voice + 0.9 * other, [other]) == {"selected": 1.0}
    assert measured("selection", voice, 0.9 * voice + other, [other]) == {"selected": 0.0}


def test_estoi_falls_from_1_with_noise_and_needs_enough_speech():
    voice, noise = speech_like(0), speech_like(9)
    levels = [measured("estoi", voice, voice + g * noise)["estoi"] for g in (0.0, 0.3, 1.0, 3.0)]
    assert levels[0] == pytest.approx(1.0, abs=1e-6)
    assert levels == sorted(levels, reverse=True) and levels[-1] < 0.6
    assert np.isnan(measured("estoi", voice[:3000], voice[:3000])["estoi"])


def test_pesq_reports_both_bands():
    pytest.importorskip("pesq", reason="the package pesq is not installed")
    voice = speech_like(1, 32000)
    clean = measured("pesq", voice, voice)
    noisy = measured("pesq", voice, voice + speech_like(2, 32000))
    assert set(clean) == {"pesq_wb", "pesq_nb"}
    assert clean["pesq_wb"] == pytest.approx(4.644, abs=0.01)
    assert clean["pesq_nb"] == pytest.approx(4.549, abs=0.01)
    assert noisy["pesq_wb"] < clean["pesq_wb"] - 1 and noisy["pesq_nb"] < clean["pesq_nb"] - 1


def test_without_pesq_the_other_metrics_are_measured_and_the_reason_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    metrics, missing = separation_metrics()
    assert "voicediff[pesq]" in missing["pesq"]
    voice = speech_like(3)
    found = score_track(SeparatedTrack(voice, voice, speech_like(4)[None]), metrics)
    assert set(found) == {"si_sdr", "sdr", "snr", "estoi", "selected"}


def test_improvement_is_relative_to_the_mixture():
    voice, noise = orthogonal(8)
    metrics, _ = separation_metrics(["si_sdr", "snr"])
    mixture = score_track(SeparatedTrack(voice, voice + noise, noise[None]), metrics)
    found = score_track(SeparatedTrack(voice, voice + 0.1 * noise, noise[None]), metrics)
    better = improved(found, mixture, metrics)
    assert better["si_sdri"] == pytest.approx(20.0) and better["snri"] == pytest.approx(20.0)
    assert improved(mixture, mixture, metrics)["si_sdri"] == 0


def test_means_are_by_group_and_skip_missing_values():
    scores = [{"a": 1.0}, {"a": 3.0}, {"a": 5.0, "b": float("nan")}]
    found = mean_by_group(scores, ["same", "same", "other"])
    assert found[""]["a"] == 3.0 and found["same"]["a"] == 2.0 and found["other"]["a"] == 5.0
    assert np.isnan(found[""]["b"]) and "b" not in found["same"]


def test_every_separation_metric_has_a_summary():
    assert all(entry.summary for entry in entries("separation_metric").values())
