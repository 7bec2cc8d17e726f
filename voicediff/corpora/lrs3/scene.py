"""The frames of one clip: a portrait with head movement, blinks and lip movement, cut to a window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from voicediff.corpora.lrs3.mouth import draw_mouth
from voicediff.corpora.lrs3.people import Colour, Look
from voicediff.corpora.lrs3.portrait import HALF, SCALE, ellipse, fill, portrait, shaded
from voicediff.corpora.lrs3.visemes import Lips

FRAME = 224  # pixels, width and height of a frame
MOUTH_BOX = 76.0  # pixels of the frame, side of the box around the mouth
_CENTRE = (112.0, 108.0)  # mean position of the centre of the face
_JAW = 8.0  # pixels by which the chin moves down at opening 1


@dataclass(frozen=True)
class Scene:
    """Everything that is visible in T frames.

    Attributes:
        look, lips: the face, and its lip shapes.
        head: (T, 4) displacement x and y in pixels, rotation in radians, size.
        lids: (T,) 0 open, 1 closed.
        light: (T,) brightness factor; background: two RGB colours, left and right.
        side_light: share by which the left is brighter than the right.
    """

    look: Look
    lips: Lips
    head: np.ndarray
    lids: np.ndarray
    light: np.ndarray
    background: tuple[Colour, Colour]
    side_light: float

    def __len__(self) -> int:
        return len(self.lids)


@dataclass(frozen=True)
class Window:
    """A square part of the frame: left, top and side in its pixels, drawn as size x size."""

    left: float
    top: float
    side: float
    size: int


WHOLE = Window(0.0, 0.0, FRAME, FRAME)


def scene(look: Look, lips: Lips, loud: np.ndarray, rng: np.random.Generator) -> Scene:
    """A scene with random head movement, blinks and lighting; the head nods with the loudness `loud` (T,)."""
    frames = len(lips.opening)
    sway = gaussian_filter1d(rng.standard_normal((frames + 60, 4)), 14, axis=0)[30:-30]
    sway /= np.sqrt((sway**2).mean()) + 1e-9
    head = sway * (2.2, 1.6, 0.025, 0.012)
    head[:, 1] += 1.5 * gaussian_filter1d(loud / (loud.max() + 1e-9), 3)
    head += rng.normal(0, (2.0, 2.0, 0.03, 0.0))
    head[:, 3] += rng.uniform(1.1, 1.26)
    return Scene(
        look=look,
        lips=lips,
        head=head,
        lids=_blinks(frames, rng),
        light=rng.uniform(0.72, 1.12) * (1 + 0.03 * sway[:, 0] * rng.random()),
        background=tuple(_muted(rng) for _ in range(2)),
        side_light=float(rng.uniform(-0.35, 0.35)),
    )


def mouth_boxes(scene: Scene) -> np.ndarray:
    """The box around the mouth in each frame, (T, 4) left, top, width, height in pixels."""
    centres = np.stack(
        [_to_frame(np.array([[0.0, scene.look.mouth_y + 1]]), row)[0] for row in scene.head]
    )
    corner = centres - MOUTH_BOX / 2
    return np.concatenate([corner, np.full_like(corner, MOUTH_BOX)], axis=1)


def draw_frame(scene: Scene, index: int, window: Window = WHOLE, grey: bool = False) -> np.ndarray:
    """Frame `index` through a window: (size, size, 3) uint8 RGB, or (size, size) if grey."""
    look, head = scene.look, scene.head[index]
    x, y = _grid(window)
    u, v = _from_frame(x, y, head)
    opening = float(scene.lips.opening[index])
    v = v - _chin(look, opening, u, v)
    face = cv2.remap(
        _portrait(look, grey),
        (u + HALF) * SCALE - 0.5,
        (v + HALF) * SCALE - 0.5,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    image = _over_background(face, scene, x, grey)

    def place(points: np.ndarray) -> np.ndarray:
        placed = _to_frame(points, head)
        return (placed - (window.left, window.top)) * (window.size / window.side) - 0.5

    def paint(points: np.ndarray, colour: Colour) -> None:
        fill(image, place(points), _luma(colour) if grey else colour)

    draw_mouth(paint, look, scene.lips, index)
    if scene.lids[index] > 0.05:
        _draw_lids(paint, look, float(scene.lids[index]))
    return cv2.GaussianBlur(_lit(image, scene, index, x), (3, 3), 0.6)  # blur of a lens


def _draw_lids(paint, look: Look, closed: float) -> None:
    for sign in (-1, 1):
        x, y, r = sign * look.eye_distance, -look.eye_y, look.eye_size
        cover = ellipse(x, y, r * 1.1, 0.56 * r)
        cover[:, 1] = np.minimum(cover[:, 1], y - 0.56 * r + closed * 1.12 * r)
        paint(cover, shaded(look.skin, 0.85))
        if closed > 0.8:
            lash = np.array(
                [[-r, 0.35 * r], [r, 0.35 * r], [r * 0.9, 0.5 * r], [-r * 0.9, 0.5 * r]]
            )
            paint(np.add(lash, (x, y)), shaded(look.hair_colour, 0.5))


def _muted(rng: np.random.Generator) -> Colour:
    level = rng.uniform(25, 205)
    return tuple(int(c) for c in (level + rng.normal(0, 14, 3)).clip(5, 230))


def _blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    lids = np.zeros(frames + 8)
    at = rng.exponential(60.0)
    while at < frames:
        lids[int(at) : int(at) + 5] = (0.4, 1.0, 1.0, 0.6, 0.2)
        at += 10 + rng.exponential(75.0)
    return lids[:frames]


@lru_cache(maxsize=4)
def _portrait(look: Look, grey: bool) -> np.ndarray:
    """The portrait, as RGBA or (grey, alpha)."""
    if not grey:
        return portrait(look)
    image = _portrait(look, grey=False)
    return np.dstack([cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY), image[..., 3]])


def _grid(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Frame coordinates x and y of the centre of each pixel of the window."""
    steps = (np.arange(window.size, dtype=np.float32) + 0.5) * (window.side / window.size)
    x, y = np.meshgrid(window.left + steps, window.top + steps)
    return x.astype(np.float32), y.astype(np.float32)


def _to_frame(points: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Points (P, 2) relative to the centre of the face -> points in the frame."""
    dx, dy, angle, size = head
    c, s = size * np.cos(angle), size * np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + (_CENTRE[0] + dx, _CENTRE[1] + dy)


def _from_frame(x: np.ndarray, y: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dx, dy, angle, size = (np.float32(value) for value in head)
    x, y = x - (_CENTRE[0] + dx), y - (_CENTRE[1] + dy)
    c, s = np.cos(angle) / size, np.sin(angle) / size
    return c * x + s * y, c * y - s * x


def _chin(look: Look, opening: float, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Downward displacement of the skin at (u, v) by the jaw: 0 above the mouth, largest at the chin."""
    chin, mouth = look.height, look.mouth_y
    down = np.clip((v - mouth) / (chin - mouth), 0, 1)
    fade = np.clip((chin + 22 - v) / 18, 0, 1)  # the neck does not move
    across = 1 / (1 + np.square(np.square(u / look.width)))
    return (_JAW * opening) * down * fade * across


def _over_background(face: np.ndarray, scene: Scene, x: np.ndarray, grey: bool) -> np.ndarray:
    alpha = face[..., -1:]
    colours = face[..., 0] if grey else face[..., :3]
    if alpha.min() == 255:
        return np.ascontiguousarray(colours)
    share = x[0] / np.float32(FRAME)
    left, right = (np.array([_luma(c)] if grey else c, np.float32) for c in scene.background)
    row = left * (1 - share[:, None]) + right * share[:, None]
    behind = np.ascontiguousarray(np.broadcast_to(row, (*alpha.shape[:2], row.shape[-1])))
    weight = alpha[..., 0].astype(np.float32) / 255
    front = np.ascontiguousarray(colours).astype(np.float32)
    mixed = cv2.blendLinear(front, behind, weight, 1 - weight)
    return np.round(mixed).astype(np.uint8)


def _lit(image: np.ndarray, scene: Scene, index: int, x: np.ndarray) -> np.ndarray:
    gain = scene.light[index] * (1 + scene.side_light * (0.5 - x[0] / FRAME))
    gain = np.broadcast_to(gain[None, :, None], (*image.shape[:2], image[0, 0].size))
    gain = np.ascontiguousarray(gain, np.float32).reshape(image.shape)
    return cv2.multiply(image, gain, dtype=cv2.CV_8U)


def _luma(colour: Colour) -> int:
    return round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])
