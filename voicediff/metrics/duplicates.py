"""Whether two tracks of a separation are the same voice: a face swap that changed nothing."""

from __future__ import annotations

import numpy as np

LIMIT = 5.0  # dB: tracks more alike than this are one voice
_HEARD = 1e-3  # root mean square (-60 dB) below which a track is silent
_LEAST = 0.5  # s for which two people must be there together


class TrackSimilarity:
    """SI-SDR between all pairs of S tracks, gathered piece by piece.

    SI-SDR of a with b as its truth is c^2 / (1 - c^2) with their correlation c, the same both ways.
    """

    def __init__(self, voices: int, sample_rate: int):
        self.sample_rate = sample_rate
        self.products = np.zeros((voices, voices))
        self.energy = np.zeros((voices, voices))
        self.together = np.zeros((voices, voices))

    def add(self, voices: np.ndarray, there: np.ndarray) -> None:
        """voices (S, n), and when each one's person is there (S, n) bool."""
        own = voices.astype(np.float64) * there
        flags = there.astype(np.float64)
        self.products += own @ own.T
        self.energy += np.square(own) @ flags.T  # of i while j is there
        self.together += flags @ flags.T

    def decibels(self) -> np.ndarray:
        """(S, S); nan where two are hardly there together or one is silent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            level = self.energy / self.together
            quiet = ~(np.minimum(level, level.T) > _HEARD**2)
            share = np.clip(self.products**2 / (self.energy * self.energy.T), 0, 1 - 1e-10)
            found = 10 * np.log10(share / (1 - share))
        found[quiet | (self.together < _LEAST * self.sample_rate)] = np.nan
        return found

    def same(self, limit: float = LIMIT) -> list[tuple[int, int, float]]:
        """Pairs (i, j, dB) that are one voice."""
        found = self.decibels()
        pairs = zip(*np.triu_indices(len(found), 1), strict=True)
        return [(int(i), int(j), float(found[i, j])) for i, j in pairs if found[i, j] > limit]
