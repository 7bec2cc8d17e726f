"""Pictures for validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicediff.optional import require


def stacked(mels: Sequence[np.ndarray]) -> np.ndarray:
    """Mels (F, T) of one line, stacked from top to bottom, recording first: (H, W, 3) uint8."""
    low, high = mels[0].min(), mels[0].max()
    rows = [np.flipud((mel.clip(low, high) - low) / (high - low + 1e-6)) for mel in mels]
    gap = np.ones((2, mels[0].shape[1]))
    picture = np.concatenate([part for row in rows for part in (row, gap)][:-1])
    matplotlib = require("matplotlib", purpose="pictures of validation")
    return (matplotlib.colormaps["magma"](picture)[..., :3] * 255).astype(np.uint8)
