"""Face boxes by frame: from files, the fixed crop of a face track, or a detector."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import median_filter

from voicediff.errors import ConfigError, DataError

MEDIAN = 11  # frames over which boxes are median filtered
BRIDGE = 12  # frames: longest gap between two detections that counts as visible
_SIDECAR = ".boxes.json"
_SPOT = 7  # pixels: the whites of eyes and teeth are narrower in pictures of _HAAR_SIDE
_HAAR_SIDE = 360  # pixels: larger pictures are reduced to this side before detection


@dataclass
class Boxes:
    """Boxes in T frames.

    Attributes:
        boxes: (T, 4) float32: left, top, width, height in pixels; interpolated if not valid.
        valid: (T,) bool, False without a detection.
    """

    boxes: np.ndarray
    valid: np.ndarray


class FaceDetector(ABC):
    """Detects faces in one picture."""

    @abstractmethod
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """image (H, W, 3) uint8 RGB -> (N, 5) float32: left, top, width, height, score."""


class HaarFaces(FaceDetector):
    """OpenCV's cascade `frontalface_alt2`: part of OpenCV, fast, frontal faces only.

    The cascade relies on eyes darker than the cheeks. On dark skin the whites of eyes and teeth are
    brighter and it misses one face in three, so `flattened` removes these bright spots first.
    """

    def __init__(self, smallest: float = 0.12):
        """`smallest`: smallest face as a share of the picture's shorter side."""
        self.smallest = smallest

    @cached_property
    def cascade(self) -> cv2.CascadeClassifier:
        """Loaded at the first detection, because corpora with boxes do not need it.

        Raises ConfigError with OpenCV 5, which has no cascades.
        """
        if not hasattr(cv2, "CascadeClassifier"):
            raise ConfigError(
                f"OpenCV {cv2.__version__} has no Haar cascade for face detection: give the YuNet model "
                "(--yunet face_detection_yunet_*.onnx), give boxes (--boxes), or install "
                "'opencv-python-headless<5'"
            )
        cascades = importlib.import_module("cv2.data").haarcascades
        return cv2.CascadeClassifier(f"{cascades}haarcascade_frontalface_alt2.xml")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        shrink = min(1.0, _HAAR_SIDE / min(grey.shape))
        if shrink < 1:
            grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        grey = flattened(grey)
        side = max(24, round(self.smallest * min(grey.shape)))
        found, _, scores = self.cascade.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=2, minSize=(side, side), outputRejectLevels=True
        )
        if len(found) == 0:
            return np.zeros((0, 5), np.float32)
        return np.column_stack([found / shrink, np.ravel(scores)]).astype(np.float32)


def flattened(grey: np.ndarray) -> np.ndarray:
    """Removes bright spots narrower than `_SPOT` pixels and equalises local contrast (CLAHE)."""
    spot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_SPOT, _SPOT))
    opened = cv2.morphologyEx(grey, cv2.MORPH_OPEN, spot)
    return cv2.createCLAHE(clipLimit=4.0, tileGridSize=(4, 4)).apply(opened)


class YunetFaces(FaceDetector):
    """OpenCV's YuNet network, better for turned and small faces; the user supplies the ONNX file."""

    def __init__(self, model: str | Path, threshold: float = 0.7):
        if not Path(model).is_file():
            raise ConfigError(
                f"{model}: no such file; YuNet's model is face_detection_yunet_*.onnx"
            )
        try:
            self.network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold)
        except cv2.error as error:
            raise ConfigError(f"{model}: not a YuNet model that OpenCV can read") from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.network.setInputSize((image.shape[1], image.shape[0]))
        _, found = self.network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if found is None:
            return np.zeros((0, 5), np.float32)
        # YuNet's box is tall and ends at the hairline; mouth boxes are computed from a square of
        # its width around the lower part
        x, y, w, h, score = found[:, [0, 1, 2, 3, -1]].T
        side = 1.1 * w
        return np.stack([x + w / 2 - side / 2, y + h - side, side, side, score], 1).astype(
            np.float32
        )


def detect(frames: np.ndarray, detector: FaceDetector) -> Boxes:
    """One face in T frames (T, H, W, 3): first the largest, then always the nearest to the last."""
    boxes = np.zeros((len(frames), 4), np.float32)
    valid = np.zeros(len(frames), bool)
    last = None
    for index, image in enumerate(frames):
        found = detector(image)
        chosen = _nearest(found, last)
        if chosen is not None:
            boxes[index], valid[index], last = chosen, True, chosen
    return bridged(Boxes(boxes, valid))


def bridged(found: Boxes) -> Boxes:
    """Boxes interpolated in gaps (valid in short gaps), median filtered over time."""
    detected = np.flatnonzero(found.valid)
    if len(detected) == 0:
        return found
    every = np.arange(len(found.valid))
    boxes = np.stack([np.interp(every, detected, found.boxes[detected, i]) for i in range(4)], 1)
    boxes = median_filter(boxes, (MEDIAN, 1), mode="nearest")
    nearest_gap = np.searchsorted(detected, every)
    before = detected[np.clip(nearest_gap - 1, 0, None)]
    after = detected[np.clip(nearest_gap, None, len(detected) - 1)]
    inside = (before <= every) & (every <= after) & (after - before <= BRIDGE)
    return Boxes(boxes.astype(np.float32), found.valid | inside)


def mouth_of(faces: Boxes) -> Boxes:
    """The square around the mouth of detected faces: centre (x + 0.5 w, y + 0.8 h), side 0.6 w.

    The same part of a face as the exact boxes of mini LRS3 (0.61 w on average).
    """
    x, y, w, h = faces.boxes.T
    side = 0.6 * w
    boxes = np.stack([x + 0.5 * w - side / 2, y + 0.8 * h - side / 2, side, side], 1)
    return Boxes(boxes.astype(np.float32), faces.valid)


def fixed_mouth(frames: int, height: int, width: int) -> Boxes:
    """The mouth in a face track such as LRS3's: a box of 96/224 in the lower middle."""
    side = 96 / 224 * min(height, width)
    box = (0.5 * width - side / 2, 0.66 * height - side / 2, side, side)
    return Boxes(np.tile(np.float32(box), (frames, 1)), np.ones(frames, bool))


def face_of_track(frames: int, height: int, width: int) -> Boxes:
    """The centre square of a face track."""
    side = min(height, width)
    box = ((width - side) / 2, (height - side) / 2, side, side)
    return Boxes(np.tile(np.float32(box), (frames, 1)), np.ones(frames, bool))


def sidecar_of(video: str | Path) -> Path:
    """Path of the boxes of a video: `<clip>.boxes.json` in the same folder."""
    return Path(video).with_suffix(_SIDECAR)


def read_sidecar(path: str | Path, frames: int) -> Boxes:
    """Known mouth boxes: `{"fps": 25, "mouth": [[left, top, width, height] or null, ...]}`.

    One entry per frame; null if the mouth is not visible. Frames beyond the last entry are not
    valid. Raises DataError for other content.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["mouth"]
        boxes = np.array([row or (0, 0, 0, 0) for row in rows], np.float32).reshape(-1, 4)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a file of mouth boxes ({error})") from error
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise DataError(f"{path}: a box has a negative size or is not a number")
    boxes = np.pad(boxes[:frames], ((0, max(0, frames - len(boxes))), (0, 0)))
    return Boxes(boxes, (boxes[:, 2:] > 0).all(1))


@lru_cache(maxsize=2)
def detector(yunet: str | None = None) -> FaceDetector:
    """YuNet if its model file is given, else the Haar cascade."""
    return YunetFaces(yunet) if yunet else HaarFaces()


def _nearest(found: np.ndarray, last: np.ndarray | None) -> np.ndarray | None:
    if len(found) == 0:
        return None
    if last is None:
        return found[np.argmax(found[:, 2] * found[:, 3]), :4]
    away = np.hypot(*(found[:, :2] + found[:, 2:4] / 2 - last[:2] - last[2:] / 2).T)
    best = int(np.argmin(away))
    return found[best, :4] if away[best] < 0.6 * last[2] else None
