"""Triangular mel filter banks on the two common mel scales.

Slaney's scale (Auditory Toolbox, 1998) is linear below 1 kHz and logarithmic above. The HTK scale
is 2595 log10(1 + f / 700) (Young et al., The HTK Book).
"""

from __future__ import annotations

import numpy as np

_LINEAR = 3 / 200  # mel per Hz below 1 kHz
_KNEE = 1000.0  # Hz, where the logarithmic part begins
_OCTAVE = 27 / np.log(6.4)  # mel per natural logarithm of a ratio: 27 steps from 1 to 6.4 kHz


def slaney_filters(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Filters (n_mels, n_fft // 2 + 1), float64, of equal area on Slaney's scale.

    rate, fmin, fmax: Hz. Each triangle has area 1 in Hz (height 2 / width).
    """
    edges = _slaney_hz(np.linspace(_slaney_mel(fmin), _slaney_mel(fmax), n_mels + 2))
    return _triangles(rate, n_fft, edges) * (2 / (edges[2:] - edges[:-2]))[:, None]


def htk_filters(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Filters (n_mels, n_fft // 2 + 1), float64, of height 1 on the HTK scale; arguments in Hz."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (fmin, fmax))
    edges = 700 * (10 ** (np.linspace(low, high, n_mels + 2) / 2595) - 1)
    return _triangles(rate, n_fft, edges)


def _triangles(rate: int, n_fft: int, edges: np.ndarray) -> np.ndarray:
    """Triangles of height 1 between neighbouring `edges` (n_mels + 2,) in Hz, at the FFT's bins."""
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (peak - low), (high - bins) / (high - peak)
    return np.maximum(np.minimum(rising, falling), 0.0)


def _slaney_mel(hz: float) -> float:
    if hz < _KNEE:
        return hz * _LINEAR
    return _KNEE * _LINEAR + np.log(hz / _KNEE) * _OCTAVE


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    above = _KNEE * np.exp((mel - _KNEE * _LINEAR) / _OCTAVE)
    return np.where(mel < _KNEE * _LINEAR, mel / _LINEAR, above)
