"""Mouth crops and faces: cut from frames, and made ready for the networks."""

from __future__ import annotations

import cv2
import numpy as np

from voicediff.video.constants import FACE, MOUTH
from voicediff.video.faces import Boxes

SEEN = 88  # pixels, side of the crop that networks see
MEAN, STD = 0.421, 0.165  # of grey mouth crops in [0, 1], as all lip readers use


def cut_mouths(frames: np.ndarray, mouth: Boxes, size: int = MOUTH) -> np.ndarray:
    """frames (T, H, W, 3) RGB -> grey mouths (T, size, size) uint8, 0 where not valid."""
    crops = np.zeros((len(frames), size, size), np.uint8)
    for index in np.flatnonzero(mouth.valid):
        grey = cv2.cvtColor(frames[index], cv2.COLOR_RGB2GRAY)
        crops[index] = cut(grey, mouth.boxes[index], size)
    return crops


def cut_face(frames: np.ndarray, face: Boxes, size: int = FACE) -> np.ndarray:
    """One face (size, size, 3) uint8 RGB from the middle of the valid frames; black if none."""
    seen = np.flatnonzero(face.valid)
    if len(seen) == 0:
        return np.zeros((size, size, 3), np.uint8)
    index = seen[len(seen) // 2]
    return cut(frames[index], face.boxes[index], size)


def cut(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """A box (left, top, width, height; fractions of pixels count) as size x size, edges repeated."""
    left, top, width, height = (float(value) for value in box)
    steps = max(1, int(np.ceil(max(width, height) / size)))  # samples per pixel, against aliasing
    fine = size * steps
    x_step, y_step = width / fine, height / fine
    # output pixel i (its middle is i + 1/2) lies at left + (i + 1/2) step; image pixels likewise
    placed = np.array([[x_step, 0, left + x_step / 2 - 0.5], [0, y_step, top + y_step / 2 - 0.5]])
    drawn = cv2.warpAffine(
        image,
        placed,
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return drawn if steps == 1 else cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)


def seen_by_network(
    mouth: np.ndarray, valid: np.ndarray, draw: np.random.Generator | None = None
) -> np.ndarray:
    """Mouth crops (..., T, 96, 96) uint8 -> (..., T, 88, 88) float32, normalised.

    The middle is taken, or with `draw` a random place and left-right order, the same in all
    frames. Frames that are not valid (..., T) become 0, the mean.
    """
    room = mouth.shape[-1] - SEEN
    x = y = room // 2
    if draw is not None:
        x, y = draw.integers(room + 1), draw.integers(room + 1)
    crop = mouth[..., y : y + SEEN, x : x + SEEN]
    if draw is not None and draw.random() < 0.5:
        crop = crop[..., ::-1]
    scaled = (crop.astype(np.float32) / 255 - MEAN) / STD
    return scaled * valid[..., None, None]
