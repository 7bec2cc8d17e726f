"""Mouth crops and faces: cut from frames, and normalised for the networks."""

from __future__ import annotations

import cv2
import numpy as np

from voicediff.video.constants import FACE, MOUTH
from voicediff.video.faces import Boxes

INPUT_SIZE = 88  # pixels, side of the crop at the input of networks
MEAN, STD = 0.421, 0.165  # of grey mouth crops in [0, 1], as in the common lip-reading models


def cut_mouths(frames: np.ndarray, mouth: Boxes, size: int = MOUTH) -> np.ndarray:
    """frames (T, H, W, 3) RGB -> grey mouths (T, size, size) uint8, 0 where not valid."""
    crops = np.zeros((len(frames), size, size), np.uint8)
    for index in np.flatnonzero(mouth.valid):
        grey = cv2.cvtColor(frames[index], cv2.COLOR_RGB2GRAY)
        crops[index] = cut(grey, mouth.boxes[index], size)
    return crops


def cut_face(frames: np.ndarray, face: Boxes, size: int = FACE) -> np.ndarray:
    """One face (size, size, 3) uint8 RGB from the middle of the valid frames; black if there is none."""
    visible = np.flatnonzero(face.valid)
    if len(visible) == 0:
        return np.zeros((size, size, 3), np.uint8)
    index = visible[len(visible) // 2]
    return cut(frames[index], face.boxes[index], size)


def cut(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """A box (left, top, width, height; sub-pixel precision) as size x size, edges repeated."""
    left, top, width, height = (float(value) for value in box)
    steps = max(1, int(np.ceil(max(width, height) / size)))  # samples per pixel, against aliasing
    fine = size * steps
    x_step, y_step = width / fine, height / fine
    # the centre of output pixel i, at i + 1/2, is left + (i + 1/2) step; image pixels likewise
    placed = np.array([[x_step, 0, left + x_step / 2 - 0.5], [0, y_step, top + y_step / 2 - 0.5]])
    drawn = cv2.warpAffine(
        image,
        placed,
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return drawn if steps == 1 else cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)


def network_input(
    mouth: np.ndarray, valid: np.ndarray, random: np.random.Generator | None = None
) -> np.ndarray:
    """Mouth crops (..., T, 96, 96) uint8 -> (..., T, 88, 88) float32, normalised.

    The crop is the centre, or with `random` a random position with random horizontal flip, equal in
    all frames. Frames that are not valid (..., T) become 0, the mean.
    """
    margin = mouth.shape[-1] - INPUT_SIZE
    x = y = margin // 2
    if random is not None:
        x, y = random.integers(margin + 1), random.integers(margin + 1)
    crop = mouth[..., y : y + INPUT_SIZE, x : x + INPUT_SIZE]
    if random is not None and random.random() < 0.5:
        crop = crop[..., ::-1]
    scaled = (crop.astype(np.float32) / 255 - MEAN) / STD
    return scaled * valid[..., None, None]
