"""Fréchet distance between distributions of short log-mel patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.metrics.base import Metric, Pair
from voicediff.registry import register


@register("metric", "frechet")
class PatchFrechet(Metric):
    """Fréchet distance between Gaussians fitted to patches of three mel frames; 0 is the recording.

    This is not the Fréchet audio distance (FAD, Kilgour et al. 2019), which compares embeddings of
    a pretrained network: values are not comparable.

    A patch is `frames` consecutive log-mel frames as one vector, at every frame of every line. The
    principal directions are those of the patches of the recordings. The covariance is used in full
    among the first `main` of them; among the others only its diagonal is used, because a few
    seconds of singing do not determine the correlations. Then

        d^2 = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) = main^2 + fine^2

    (Dowson & Landau 1982) splits into `frechet_main`, the broad shape of spectra and onsets, and
    `frechet_fine`, the texture; `frechet` is d. Units are those of the mel (natural log), so a
    direction is weighted by its variance. An over-smoothed mel has too little variance in the fine
    directions, a noisy one too much; both cost (std - std')^2 per direction. Only distributions are
    compared: the order of the lines does not matter, and two Gaussians can agree where the
    mels do not. The value falls with the number of patches; compare on equal lines only.
    """

    by_line = False

    def __init__(self, frames: int = 3, main: int = 24):
        self.frames, self.main = frames, main

    def measure(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        return self._patches(pair.reference.mel), self._patches(pair.generated.mel)

    def pool(self, measured: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        reference, generated = (_moments(parts) for parts in zip(*measured, strict=True))
        if reference is None or generated is None:
            nan = float("nan")
            return {"frechet": nan, "frechet_main": nan, "frechet_fine": nan}
        directions = np.linalg.eigh(reference[1])[1][:, ::-1]  # the largest first
        mean = (reference[0] - generated[0]) @ directions
        c, c_generated = (directions.T @ c @ directions for c in (reference[1], generated[1]))
        main = slice(0, self.main)
        broad = np.square(mean[main]).sum() + _bures(c[main, main], c_generated[main, main])
        spread = np.sqrt(np.maximum(np.stack((np.diag(c), np.diag(c_generated))), 0))
        fine = np.square(mean[self.main :]).sum()
        fine += np.square(spread[0] - spread[1])[self.main :].sum()
        return {
            "frechet": float(np.sqrt(broad + fine)),
            "frechet_main": float(np.sqrt(broad)),
            "frechet_fine": float(np.sqrt(fine)),
        }

    def _patches(self, mel: np.ndarray) -> np.ndarray:
        """(P, frames * F)"""
        if mel.shape[1] < self.frames:
            return np.zeros((0, self.frames * mel.shape[0]), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(mel, self.frames, axis=1)  # (F, P, n)
        return windows.transpose(1, 2, 0).reshape(windows.shape[1], -1).astype(np.float32)


def _moments(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and covariance of all patches."""
    patches = np.concatenate(parts).astype(np.float64)
    if len(patches) < 2:
        return None
    mean = patches.mean(0)
    centred = patches - mean
    return mean, centred.T @ centred / len(patches)


def _bures(a: np.ndarray, b: np.ndarray) -> float:
    """tr(A + B - 2 (A B)^(1/2)) of positive semi-definite matrices, not below 0."""
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    product = np.linalg.eigvalsh(root @ b @ root)
    return max(float(np.trace(a + b) - 2 * np.sqrt(np.maximum(product, 0)).sum()), 0.0)
