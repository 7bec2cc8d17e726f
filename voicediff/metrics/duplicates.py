"""Detection of two separated tracks that contain the same speaker."""

from __future__ import annotations

import numpy as np

LIMIT = 5.0  # dB: tracks with a higher SI-SDR contain the same speaker
_SILENT = 1e-3  # root mean square (-60 dB) below which a track counts as silent
_MIN_OVERLAP = 0.5  # s for which both people must be present


class TrackSimilarity:
    """SI-SDR between all pairs of S tracks, accumulated over consecutive pieces.

    The SI-SDR of a against reference b is 10 log10 c^2 / (1 - c^2) with their correlation c, so it
    is symmetric.
    """

    def __init__(self, tracks: int, sample_rate: int):
        self.sample_rate = sample_rate
        self.products = np.zeros((tracks, tracks))
        self.energy = np.zeros((tracks, tracks))
        self.overlap = np.zeros((tracks, tracks))

    def add(self, tracks: np.ndarray, present: np.ndarray) -> None:
        """Add tracks (S, n); `present` (S, n) is True where the person is in the picture."""
        own = tracks.astype(np.float64) * present
        flags = present.astype(np.float64)
        self.products += own @ own.T
        self.energy += np.square(own) @ flags.T  # of i while j is present
        self.overlap += flags @ flags.T

    def decibels(self) -> np.ndarray:
        """SI-SDR in dB, (S, S); nan where two tracks hardly overlap or one is silent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            level = self.energy / self.overlap
            quiet = ~(np.minimum(level, level.T) > _SILENT**2)
            share = np.clip(self.products**2 / (self.energy * self.energy.T), 0, 1 - 1e-10)
            found = 10 * np.log10(share / (1 - share))
        found[quiet | (self.overlap < _MIN_OVERLAP * self.sample_rate)] = np.nan
        return found

    def same(self, limit: float = LIMIT) -> list[tuple[int, int, float]]:
        """Pairs of tracks (i, j, SI-SDR in dB) that contain the same speaker."""
        found = self.decibels()
        pairs = zip(*np.triu_indices(len(found), 1), strict=True)
        return [(int(i), int(j), float(found[i, j])) for i, j in pairs if found[i, j] > limit]
