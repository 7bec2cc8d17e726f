"""Source-filter synthesis of a singing voice from control tracks.

Every glottal pulse is one impulse response of the vocal tract at its time, placed with sub-sample
accuracy; breath noise is filtered in grains by the same tract (Fant 1960; Klatt 1980, "Software for
a cascade/parallel formant synthesizer"). The model is linear, so a song is one overlap-add.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

RATE = 44100
CONTROL = 500  # frames per second of all control tracks
_SIZE = 1024  # samples of an impulse response; F1 has decayed by 50 dB
_GRAIN = 256  # samples of a grain of breath
_BLOCK = 128  # responses per block, which fits into the CPU cache
_MOVING = 5  # formants that vary with articulation
_NASAL_POLE = 280.0
_FREQUENCIES = np.fft.rfftfreq(_SIZE, 1 / RATE).astype(np.float32)

Track = NDArray[np.float64]


@dataclass
class Tracks:
    """Control tracks, all (n,) or (n, 5) at CONTROL frames per second.

    Attributes:
        f0: Hz, also in unvoiced frames.
        formants, bandwidths: Hz (n, 5).
        voicing, breath: amplitudes of pulses and of noise, 0 to about 1.
        zero: Hz of the nasal zero; at 280 it cancels the nasal pole.
        tilt: Hz of the pole above which the source falls by another 6 dB an octave.
        jitter: relative standard deviation of pulse spacing; shimmer is 4 times as much.
    """

    f0: Track
    formants: Track
    bandwidths: Track
    voicing: Track
    breath: Track
    zero: Track
    tilt: Track
    jitter: float

    @property
    def samples(self) -> int:
        return round(len(self.f0) / CONTROL * RATE)


@dataclass(frozen=True)
class Noise:
    """A noise burst: `bands` are (centre Hz, width Hz, gain); `attack`, `decay` in seconds."""

    start: float
    length: float
    gain: float
    bands: tuple[tuple[float, float, float], ...]
    attack: float
    decay: float


def render(
    tracks: Tracks, noises: list[Noise], scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The waveform (tracks.samples,); `scale` scales the fixed formants."""
    out = np.zeros(tracks.samples + 2 * _SIZE, np.float32)
    fixed = _fixed_formants(scale)
    phase = np.cumsum(tracks.f0) / CONTROL
    _add_pulses(out, tracks, phase, fixed, rng)
    _add_breath(out, tracks, phase, fixed, rng)
    for noise in noises:
        _add_noise(out, noise, rng)
    return out[: tracks.samples]


def _add_pulses(
    out: NDArray[np.float32],
    tracks: Tracks,
    phase: Track,
    fixed: NDArray[np.complex64],
    rng: np.random.Generator,
) -> None:
    count = int(phase[-1])
    places = np.interp(np.arange(1, count + 1), phase, np.arange(len(phase)))
    noise = rng.standard_normal((2, count)) * tracks.jitter
    places += noise[0] * CONTROL / np.interp(places, np.arange(len(phase)), tracks.f0)
    loud = np.interp(places, np.arange(len(phase)), tracks.voicing) * (1 + 4 * noise[1])
    # keep the power independent of F0
    loud *= np.sqrt(250 / np.interp(places, np.arange(len(phase)), tracks.f0))
    audible = (loud > 1e-3) & (places > 0)
    places, loud = places[audible], loud[audible]
    for at in range(0, len(places), _BLOCK):
        part = slice(at, at + _BLOCK)
        tract = _tract(tracks, places[part], fixed)
        source = _glottis(tracks, places[part]) * loud[part, None].astype(np.float32)
        samples = places[part] / CONTROL * RATE
        whole = np.floor(samples).astype(int)
        shift = _delay(samples - whole)
        _overlap_add(out, scipy.fft.irfft(source * tract * shift, _SIZE), whole)


def _delay(samples: Track) -> NDArray[np.complex64]:
    """Spectra (len(samples), bins) of fractional delays, factorised into coarse and fine bins."""
    fine = 32
    step = -2j * np.pi / _SIZE * samples[:, None]
    coarse = np.exp(step * fine * np.arange(_SIZE // 2 // fine + 1)).astype(np.complex64)
    steps = np.exp(step * np.arange(fine)).astype(np.complex64)
    both = coarse[:, :, None] * steps[:, None, :]
    return both.reshape(len(samples), -1)[:, : _SIZE // 2 + 1]


def _add_breath(
    out: NDArray[np.float32],
    tracks: Tracks,
    phase: Track,
    fixed: NDArray[np.complex64],
    rng: np.random.Generator,
) -> None:
    """Aspiration noise, modulated by the glottal opening, through the tract."""
    hop = _GRAIN // 2
    starts = np.arange(0, tracks.samples - _GRAIN, hop)
    places = (starts + hop) / RATE * CONTROL
    loud = np.interp(places, np.arange(len(phase)), tracks.breath)
    noise = rng.standard_normal(tracks.samples, np.float32)
    ticks = np.arange(tracks.samples, dtype=np.float32) * np.float32(CONTROL / RATE)
    cycle = np.interp(ticks, np.arange(len(phase)), phase)
    opening = 0.5 + 0.5 * np.cos(2 * np.pi * cycle - 2.0)
    voiced = np.clip(np.interp(ticks, np.arange(len(phase)), tracks.voicing), 0, 1)
    noise *= (1 - 0.8 * voiced * (1 - opening)).astype(np.float32)
    window = np.hanning(_GRAIN + 1)[:-1].astype(np.float32)
    rise = _FREQUENCIES / 1200 / np.sqrt(1 + (_FREQUENCIES / 1200) ** 2)
    audible = np.flatnonzero(loud > 1e-4)
    for at in range(0, len(audible), _BLOCK):
        part = audible[at : at + _BLOCK]
        grains = noise[starts[part][:, None] + np.arange(_GRAIN)] * window
        grains *= loud[part, None].astype(np.float32)
        spectra = scipy.fft.rfft(grains, _SIZE) * _tract(tracks, places[part], fixed) * rise
        _overlap_add(out, scipy.fft.irfft(spectra, _SIZE), starts[part])


def _add_noise(out: NDArray[np.float32], noise: Noise, rng: np.random.Generator) -> None:
    first, count = round(noise.start * RATE), max(round(noise.length * RATE), 32)
    if first < 0 or first + count > len(out):
        return
    size = scipy.fft.next_fast_len(count + 256, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(size, np.float32))
    frequencies = np.fft.rfftfreq(size, 1 / RATE).astype(np.float32)
    shape = np.zeros_like(frequencies)
    for centre, width, gain in noise.bands:
        shape += gain / (1 + ((frequencies - centre) / width) ** 2) ** 2
    time = np.arange(count) / RATE
    envelope = np.minimum(time / noise.attack, 1) * np.minimum(
        (noise.length - time) / noise.decay, 1
    )
    hiss = scipy.fft.irfft(spectrum * shape, size)[:count]
    out[first : first + count] += (noise.gain * np.clip(envelope, 0, 1) * hiss).astype(np.float32)


def _tract(tracks: Tracks, places: Track, fixed: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Transfer function (len(places), bins) of the vocal tract at times `places` in frames."""
    zero = _at(tracks.zero, places)
    wide = np.full_like(zero, 100.0)
    product = _pair(np.full_like(zero, _NASAL_POLE), wide)
    for k in range(_MOVING):
        product *= _pair(_at(tracks.formants[:, k], places), _at(tracks.bandwidths[:, k], places))
    return _pair(zero, wide) * (fixed / product)


def _pair(frequency: NDArray[np.float32], bandwidth: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Denominators (P, bins) of P pole pairs, 1 at 0 Hz."""
    square = (frequency**2 + bandwidth**2 / 4)[:, None]
    pair = np.empty((len(frequency), len(_FREQUENCIES)), np.complex64)
    np.multiply(_FREQUENCIES**2, -1 / square, out=pair.real)
    pair.real += 1
    np.multiply(_FREQUENCIES, bandwidth[:, None] / square, out=pair.imag)
    return pair


def _fixed_formants(scale: float) -> NDArray[np.complex64]:
    """Response of the fixed formants F6 to F16, which shape the spectrum above 5 kHz."""
    k = np.arange(11, dtype=np.float32)
    frequency = (6000 + 1080 * k + 90 * (-1) ** k) * np.float32(scale)
    product = np.prod(_pair(frequency, 420 + 60 * k), 0)
    roll = 1 / (1 + (_FREQUENCIES / 15000) ** 6)
    return (roll / product).astype(np.complex64)


def _glottis(tracks: Tracks, places: Track) -> NDArray[np.complex64]:
    """Derivative of a glottal pulse: peak near F0, then -6 dB per octave, then spectral tilt."""
    peak = np.float32(0.95) * _at(tracks.f0, places)
    tilt = _at(tracks.tilt, places)
    resonance = _pair(peak, peak * np.float32(1.1))
    slope = 1 + 1j * (_FREQUENCIES / tilt[:, None])
    return (1j * _FREQUENCIES / peak[:, None]) / (resonance * slope)


def _at(track: Track, places: Track) -> NDArray[np.float32]:
    return np.interp(places, np.arange(len(track)), track).astype(np.float32)


def _overlap_add(
    out: NDArray[np.float32], pieces: NDArray[np.float32], starts: NDArray[np.intp]
) -> None:
    for piece, start in zip(pieces, starts, strict=True):
        out[start : start + _SIZE] += piece
