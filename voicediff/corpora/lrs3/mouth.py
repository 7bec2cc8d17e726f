"""The mouth of a drawn face: lips, opening, teeth and tongue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from voicediff.corpora.lrs3.people import Colour, Look
from voicediff.corpora.lrs3.portrait import shaded
from voicediff.corpora.lrs3.visemes import Lips

_GAP = 13.0  # pixels between the lips at opening 1
_ACROSS = np.linspace(-1, 1, 25)

Paint = Callable[[np.ndarray, Colour], None]


def draw_mouth(paint: Paint, look: Look, lips: Lips, index: int) -> None:
    """Draw frame `index` of the lips; `paint(points (P, 2), colour)` fills a polygon on the face."""
    opening, width = float(lips.opening[index]), float(lips.width[index])
    rounding, teeth = float(lips.rounding[index]), float(lips.teeth[index])
    half = look.mouth_width * (1 + 0.16 * width - 0.34 * rounding - 0.05 * opening)
    gap = _GAP * opening * (look.mouth_width / 18)
    thick = look.lip * (1 + 0.35 * rounding - 0.12 * opening)
    x = half * _ACROSS
    arch = np.sqrt(np.clip(1 - _ACROSS**2, 0, 1))
    corners = look.mouth_y - 0.8 * look.smile * _ACROSS**2 + look.crooked * _ACROSS
    upper = corners - 0.32 * gap * arch
    lower = corners + 0.68 * gap * arch
    bow = arch * (1 - 0.22 * np.exp(-((_ACROSS / 0.16) ** 2)))  # Cupid's bow
    top, bottom = upper - thick * bow, lower + 1.15 * thick * arch

    paint(_closed(x * 1.03, top, lower + 0.3), shaded(look.lip_colour, 0.88))
    paint(_closed(x * 1.03, upper, bottom), look.lip_colour)
    paint(
        _closed(x * 0.6, lower + 0.35 * thick * arch, lower + 0.7 * thick * arch),
        shaded(look.lip_colour, 1.18),
    )
    inner = 0.93 * x
    if gap < 0.8:
        paint(_closed(inner, upper - 0.5 * arch, lower + 0.5 * arch), shaded(look.lip_colour, 0.45))
        return
    paint(_closed(inner, upper, lower), (38, 16, 18))
    _tongue(paint, inner, upper, lower, opening, teeth)
    _teeth(paint, inner, upper, lower, gap, teeth)


def _teeth(
    paint: Paint, x: np.ndarray, upper: np.ndarray, lower: np.ndarray, gap: float, visible: float
) -> None:
    """The upper teeth, and some of the lower ones if `visible` is large; covered by the lips."""
    reach = 0.12 + 0.5 * visible
    edge = np.minimum(upper + min(1.0 + visible * 3.5, reach * gap), lower)
    middle = slice(3, -3)
    paint(_closed(x[middle], upper[middle], edge[middle]), (206, 198, 184))
    if visible > 0.75:
        low = np.maximum(lower - 0.25 * gap, edge)
        paint(_closed(x[5:-5], low[5:-5], lower[5:-5]), (176, 168, 154))


def _tongue(
    paint: Paint, x: np.ndarray, upper: np.ndarray, lower: np.ndarray, opening: float, teeth: float
) -> None:
    if opening < 0.25:
        return
    height = (lower - upper) * (0.42 if teeth < 0.6 else 0.55)
    middle = slice(6, -6)
    paint(_closed(x[middle], (lower - height)[middle], lower[middle]), (150, 72, 74))


def _closed(x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """The polygon between two curves over the same x."""
    return np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
