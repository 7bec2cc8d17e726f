"""Detectors for tests that run with OpenCV 4 and with OpenCV 5, which has no Haar cascade."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from voicediff.errors import ConfigError
from voicediff.video.faces import FaceDetector, HaarFaces

HAS_CASCADE = hasattr(cv2, "CascadeClassifier")


def haar() -> HaarFaces | None:
    """The cascade; None, after it was seen to be refused in one line, where OpenCV has none."""
    detector = HaarFaces()
    if HAS_CASCADE:
        return detector
    with pytest.raises(
        ConfigError, match="has no Haar cascade for face detection: give the YuNet"
    ) as said:
        detector(np.zeros((64, 64, 3), np.uint8))
    assert "\n" not in str(said.value)
    return None


class DrawnFaces(FaceDetector):
    """Finds the squares of an interview's guests on its plain background."""

    def __init__(self, smallest: float = 0.12):
        self.smallest = smallest

    def __call__(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        across, down = np.linspace(70, 120, width), np.linspace(0, 25, height)
        away = np.abs(image - (across[None, :] + down[:, None])[..., None]).max(-1)
        marks, _ = ndimage.label(ndimage.binary_closing(away > 24, iterations=3))
        rows = []
        for part in ndimage.find_objects(marks):
            top, left = part[0].start, part[1].start
            side = part[1].stop - left
            if side >= self.smallest * min(height, width) and part[0].stop - top > 0.5 * side:
                rows.append((left + 0.25 * side, top + 0.23 * side, 0.5 * side, 0.5 * side, 9.0))
        return np.array(rows, np.float32).round().reshape(-1, 5)
