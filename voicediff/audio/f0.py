"""F0 tracking: candidates from a normalised difference function, and a Viterbi path."""

from __future__ import annotations

import numpy as np

CANDIDATES = 6
UNVOICED = 0.35  # aperiodicity at which a frame counts as unvoiced
SWITCH = 0.14  # cost of a change of voicing (this and the next two: Boersma 1993)
JUMP = 0.35  # cost of a jump per octave, for steps of 10 ms
HIGH = 0.01  # cost per octave of longer periods: of two equal minima the shorter lag is the period
QUIET = 10 ** (-45 / 20)  # of the loudest frame's level: quieter frames are unvoiced
BAND = 3500.0  # Hz: cut-off of the low-pass; breath noise dominates above
SILENT = 1e-4  # of full scale: below this everything is unvoiced
_BLOCK = 1024  # frames at once


def f0(
    wav: np.ndarray, sample_rate: int, hop: int, fmin: float = 60.0, fmax: float = 1200.0
) -> np.ndarray:
    """F0 in Hz, (T,) float32 with T = N // hop, 0 where unvoiced; wav (N,).

    Frame i is centred on sample (i + 1/2) hop, like mel frame i (`MelSpec`).

    The squared difference d(lag) over all pairs of samples one lag apart is normalised by its mean
    over all shorter lags (YIN, de Cheveigné & Kawahara 2002, Eq. 8). All pairs lie inside one fixed
    window, so that the estimate is centred at every lag and glides are not delayed. The deepest
    minima are the candidates. A Viterbi path through them and an unvoiced state has costs for jumps
    and for changes of voicing (Boersma 1993).
    """
    return f0_and_periodicity(wav, sample_rate, hop, fmin, fmax)[0]


def f0_and_periodicity(
    wav: np.ndarray, sample_rate: int, hop: int, fmin: float = 60.0, fmax: float = 1200.0
) -> tuple[np.ndarray, np.ndarray]:
    """F0 as from `f0`, and the periodicity (T,) of each frame, 0 to 1, voiced or not.

    Periodicity is 1 minus the smallest normalised difference over all lags; 0 in silence.
    """
    wav = np.asarray(wav, np.float32)
    frames = len(wav) // hop
    longest, shortest = int(np.ceil(sample_rate / fmin)), int(sample_rate / fmax)
    size = round(2.5 * sample_rate / fmin)
    if frames == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    wav = np.pad(_lowpass(wav, sample_rate), (0, max(size - len(wav), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(wav, size)
    centres = np.arange(frames) * hop + hop // 2
    starts = np.clip(
        centres - size // 2, 0, len(wav) - size
    )  # windows at the ends are shifted inside
    blocks = [
        _candidates(windows[starts[i : i + _BLOCK]], shortest, longest)
        for i in range(0, frames, _BLOCK)
    ]
    lags, costs, levels, periodicity = map(np.concatenate, zip(*blocks, strict=True))
    silent = levels < max(SILENT, QUIET * levels.max())
    costs[silent], periodicity[silent] = np.inf, 0.0
    octaves = -np.log2(np.maximum(lags, 1.0))
    path = _best_path(costs, octaves, jump=JUMP * 0.01 * sample_rate / hop)
    voiced = path < lags.shape[1]
    chosen = lags[np.arange(frames), np.where(voiced, path, 0)]
    pitch = np.where(voiced, sample_rate / np.maximum(chosen, 1.0), 0.0).astype(np.float32)
    return pitch, periodicity


def _lowpass(wav: np.ndarray, sample_rate: int) -> np.ndarray:
    """Zero-delay low-pass at BAND; it also makes interpolation between samples accurate."""
    if sample_rate <= 2 * BAND:
        return wav
    half = sample_rate // 1000
    taps = np.hamming(2 * half + 1) * np.sinc(2 * BAND / sample_rate * np.arange(-half, half + 1))
    return np.convolve(wav, (taps / taps.sum()).astype(np.float32))[half : half + len(wav)]


def _candidates(
    frames: np.ndarray, shortest: int, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lags in samples and costs (inf without a candidate), (T, K); levels and periodicity, (T,)."""
    frames = frames - frames.mean(1, keepdims=True)
    levels = np.sqrt(np.square(frames).mean(1))
    aperiodicity = _aperiodicity(frames / np.maximum(levels, 1e-9)[:, None], longest + 3)
    inner = aperiodicity[:, shortest - 1 : longest + 3]
    left, middle, right = inner[:, :-2], inner[:, 1:-1], inner[:, 2:]
    minimum = (middle < left) & (middle <= right)
    ascent = HIGH * np.log2(np.arange(shortest, longest + 2) / shortest)
    depth = np.where(minimum, middle + ascent, np.inf)
    best = np.argpartition(depth, CANDIDATES, axis=1)[:, :CANDIDATES]
    a, b, c = (np.take_along_axis(x, best, 1) for x in (left, middle, right))
    offset = 0.5 * (a - c) / np.maximum(a - 2 * b + c, 1e-9)
    found = np.take_along_axis(minimum, best, 1)
    lags = best + shortest + np.where(found, np.clip(offset, -1, 1), 0.0)
    costs = np.where(found, b - 0.25 * (a - c) * offset + ascent[best], np.inf)
    periodicity = np.clip(1 - middle.min(1), 0, 1).astype(np.float32)
    return lags.astype(np.float32), costs.astype(np.float32), levels, periodicity


def _aperiodicity(frames: np.ndarray, lags: int) -> np.ndarray:
    """Cumulative-mean-normalised difference (T, lags) of frames (T, N), lags 0 to lags - 1."""
    size = frames.shape[1]
    power = np.square(frames).cumsum(1)
    lag = np.arange(lags)
    head = power[:, size - 1 - lag]  # energy of samples 0 .. size - lag
    tail = power[:, -1:] - np.pad(power, ((0, 0), (1, 0)))[:, lag]  # energy of samples lag .. size
    spectrum = np.fft.rfft(frames, _fast_length(size + lags), axis=1)
    product = spectrum.real**2 + spectrum.imag**2
    correlation = np.fft.irfft(product, axis=1)[:, :lags]
    difference = np.maximum(head + tail - 2 * correlation, 0) / (size - lag)
    total = difference[:, 1:].cumsum(1)
    result = np.ones_like(difference)
    result[:, 1:] = difference[:, 1:] * lag[1:] / np.maximum(total, 1e-9)
    return result


def _fast_length(minimum: int) -> int:
    """The smallest length of at least `minimum` without prime factors above 5, for a fast FFT."""
    powers = range(minimum.bit_length() + 1)
    sizes = (2**a * 3**b * 5**c for a in powers for b in powers for c in powers)
    return min(size for size in sizes if size >= minimum)


def _best_path(costs: np.ndarray, octaves: np.ndarray, jump: float) -> np.ndarray:
    """Cheapest path (T,) through candidates 0 .. K - 1 and the unvoiced state K."""
    frames, count = costs.shape
    came = np.zeros((frames, count + 1), np.int64)
    total = np.append(costs[0], UNVOICED)
    change = np.full((count + 1, count + 1), SWITCH)
    change[count, count] = 0.0
    for t in range(1, frames):
        change[:count, :count] = jump * np.abs(octaves[t][:, None] - octaves[t - 1])
        through = change + total  # (to, from)
        came[t] = through.argmin(1)
        total = through.min(1)
        total[:count] += costs[t]
        total[count] += UNVOICED
    path = np.zeros(frames, np.int64)
    path[-1] = total.argmin()
    for t in range(frames - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path
