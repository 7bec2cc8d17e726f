"""The static part of a drawn face: skin, hair, nose, brows, eyes, beard, clothes."""

from __future__ import annotations

import cv2
import numpy as np

from voicediff.corpora.lrs3.people import Colour, Look

SCALE = 2  # pixels of the portrait per pixel of the frame
HALF = 128  # half the portrait's side, in pixels of the frame
SUBPIXEL = 4  # bits after the point in OpenCV's coordinates


def portrait(look: Look) -> np.ndarray:
    """The head with neck and shoulders, (512, 512, 4) uint8 RGBA, centred at the face."""
    noise = np.random.default_rng(look.texture)
    side = 2 * HALF * SCALE
    image = np.zeros((side, side, 3), np.uint8)
    alpha = np.zeros((side, side), np.uint8)
    _hair_behind(image, alpha, look)
    _shoulders(image, alpha, look)
    _head(image, alpha, look)
    _shade(image, look, noise)
    _nose(image, look)
    _beard(image, look, noise)
    _eyes(image, look)
    _hair_before(image, alpha, look, noise)
    if look.glasses:
        _glasses(image, look)
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.0)
    return np.dstack([image, alpha])


def outline(look: Look, points: int = 72) -> np.ndarray:
    """The outline of the head (points, 2) relative to the centre; `look.jaw` sets the shape of the jaw."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    low = np.clip(y, 0, None)
    narrow = 1 - (0.24 - 0.14 * look.jaw) * low**2
    return np.stack([look.width * x * narrow, look.height * y], axis=1)


def fill(image: np.ndarray, points: np.ndarray, colour: Colour | int) -> None:
    """Fill a polygon given in the image's pixels (P, 2), anti-aliased."""
    fixed = np.round(points * 2**SUBPIXEL).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, SUBPIXEL)


def ellipse(cx: float, cy: float, rx: float, ry: float, points: int = 40) -> np.ndarray:
    """The edge of an ellipse, (points, 2)."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)


def shaded(colour: Colour, factor: float) -> Colour:
    """The colour multiplied by `factor`."""
    return tuple(int(np.clip(c * factor, 0, 255)) for c in colour)


def _at(points: np.ndarray) -> np.ndarray:
    return (np.asarray(points) + HALF) * SCALE - 0.5


def _both(image: np.ndarray, alpha: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    fill(image, _at(points), colour)
    fill(alpha, _at(points), 255)


def _hair_behind(image: np.ndarray, alpha: np.ndarray, look: Look) -> None:
    if look.hair == "long":
        back = np.array(
            [[-1.15, -0.5], [-1.3, 0.6], [-1.2, 1.25], [1.2, 1.25], [1.3, 0.6], [1.15, -0.5]]
        )
        _both(image, alpha, back * (look.width, look.height), shaded(look.hair_colour, 0.85))
    if look.hair == "bun":
        _both(image, alpha, ellipse(0, -1.2 * look.height, 16, 14), look.hair_colour)


def _shoulders(image: np.ndarray, alpha: np.ndarray, look: Look) -> None:
    w, h = look.width, look.height
    neck = np.array(
        [[-0.55 * w, 0.5 * h], [-0.6 * w, 1.45 * h], [0.6 * w, 1.45 * h], [0.55 * w, 0.5 * h]]
    )
    _both(image, alpha, neck, shaded(look.skin, 0.78))
    shirt = np.array(
        [[-0.62 * w, 1.3 * h], [-2.2 * w, 1.6 * h], [-2.6 * w, HALF], [2.6 * w, HALF], [2.2 * w, 1.6 * h],
         [0.62 * w, 1.3 * h], [0, 1.5 * h]]
    )  # fmt: skip
    _both(image, alpha, shirt, look.shirt)


def _head(image: np.ndarray, alpha: np.ndarray, look: Look) -> None:
    for side in (-1, 1):
        ear = ellipse(side * look.width * 0.99, -2, 5.5, 11)
        _both(image, alpha, ear, shaded(look.skin, 0.88))
    _both(image, alpha, outline(look), look.skin)


def _shade(image: np.ndarray, look: Look, noise: np.random.Generator) -> None:
    """Darker towards the edge of the head, lighter on cheeks and forehead, and uneven skin."""
    axis = (np.arange(image.shape[0]) + 0.5) / SCALE - HALF
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x / look.width, y / look.height)
    light = 1.06 - 0.3 * np.clip(radius, 0, 1) ** 3
    light += 0.07 * np.exp(-(((np.abs(x) - 0.5 * look.width) / 11) ** 2) - ((y - 8) / 10) ** 2)
    light += 0.06 * np.exp(-((x / 20) ** 2) - ((y + 0.6 * look.height) / 14) ** 2)
    for y0, depth, wide in (
        (look.mouth_y + 1.9 * look.lip + 3, 0.1, 11),
        (look.mouth_y - 9, 0.05, 4),
    ):
        light -= depth * np.exp(-((x / wide) ** 2) - ((y - y0) / 2.6) ** 2)
    rough = cv2.resize(noise.standard_normal((40, 40)).astype(np.float32), image.shape[:2])
    fine = cv2.GaussianBlur(noise.standard_normal(image.shape[:2]).astype(np.float32), (0, 0), 1.2)
    light = light + 0.02 * rough + 0.06 * fine
    image[:] = np.clip(image * light[..., None], 0, 255).astype(np.uint8)


def _blend(image: np.ndarray, mask: np.ndarray, colour: np.ndarray | Colour) -> None:
    """Blend a colour, or a picture of the same size, into the image with the weights `mask`."""
    x, y, w, h = cv2.boundingRect((mask > 1e-3).astype(np.uint8))
    place = np.s_[y : y + h, x : x + w]
    tone = np.asarray(colour, np.float32)
    tone = tone[place] if tone.ndim == 3 else tone
    weight = mask[place].astype(np.float32)[..., None]
    image[place] = np.clip(image[place] * (1 - weight) + tone * weight, 0, 255)


def _soft(shape: tuple[int, int], points: np.ndarray, blur: float) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    fill(mask, _at(points), 255)
    return cv2.GaussianBlur(mask, (0, 0), blur * SCALE).astype(np.float32) / 255


def _nose(image: np.ndarray, look: Look) -> None:
    top, tip = -look.eye_y + 4, -look.eye_y + 4 + look.nose + 8
    side = np.array([[1.5, top], [5.5, tip], [2.5, tip + 1]])
    _blend(image, 0.35 * _soft(image.shape[:2], side, 1.6), shaded(look.skin, 0.6))
    ridge = np.array([[-2, top], [-2.5, tip - 3], [1, tip - 3], [1, top]])
    _blend(image, 0.3 * _soft(image.shape[:2], ridge, 1.5), shaded(look.skin, 1.25))
    for sign in (-1, 1):
        nostril = ellipse(sign * 4.2, tip + 0.5, 2.3, 1.2)
        _blend(image, 0.75 * _soft(image.shape[:2], nostril, 0.5), shaded(look.skin, 0.35))


def _beard(image: np.ndarray, look: Look, noise: np.random.Generator) -> None:
    shape = image.shape[:2]
    grain = cv2.GaussianBlur(noise.random(shape).astype(np.float32), (0, 0), 1.0)
    grain = np.clip(0.75 + 3 * (grain - 0.5), 0.3, 1)
    colour = shaded(look.hair_colour, 0.9)
    m = look.mouth_y
    if look.beard:
        edge = outline(look)
        lower = edge[edge[:, 1] > m - 24]
        lower = lower[np.argsort(-lower[:, 0])]
        inner = ellipse(0, m - 4, look.width * 0.6, 15)
        mask = _soft(shape, lower * 0.99, 2.0) * (1 - _soft(shape, inner[inner[:, 1] < m + 6], 2.5))
        _blend(image, look.beard * grain * mask, colour)
    if look.moustache:
        strip = np.array([[-15, m - 2], [-5, m - 9], [5, m - 9], [15, m - 2], [0, m - 5]])
        _blend(image, 0.85 * grain * _soft(shape, strip, 0.9), colour)


def _eyes(image: np.ndarray, look: Look) -> None:
    shape = image.shape[:2]
    for sign in (-1, 1):
        x, y, r = sign * look.eye_distance, -look.eye_y, look.eye_size
        _blend(
            image, 0.4 * _soft(shape, ellipse(x, y - 1, r * 1.25, 6), 2.5), shaded(look.skin, 0.6)
        )
        white = ellipse(x, y, r, 0.45 * r)
        fill(image, _at(white), (228, 224, 220))
        clear = _soft(shape, white, 0.3)
        for radius, colour in ((0.47 * r, look.eye_colour), (0.22 * r, (12, 10, 10))):
            _blend(image, clear * _soft(shape, ellipse(x, y - 0.3, radius, radius), 0.3), colour)
        lid = np.concatenate(
            [ellipse(x, y, r * 1.05, 0.52 * r)[20:], ellipse(x, y, r, 0.36 * r)[:19:-1]]
        )
        fill(image, _at(lid), shaded(look.hair_colour, 0.5))
        bow = np.array([[-1.2, 0.5], [0, -2.2], [1.25, -0.6], [1.2, 0.6], [0, -0.6], [-1.15, 2.0]])
        bow = bow * (sign * r, look.brow) + (x, y - 9)
        _blend(image, 0.8 * _soft(shape, bow, 0.5), shaded(look.hair_colour, 0.8))


def _hair_before(
    image: np.ndarray, alpha: np.ndarray, look: Look, noise: np.random.Generator
) -> None:
    w, h = look.width, look.height
    if look.hair == "bald":
        return
    line = {"short": -0.62, "long": -0.55, "bun": -0.66}[look.hair]
    edge = outline(look)
    top = edge[edge[:, 1] < line * h] * (1.08, 1.1)
    top = top[np.argsort(top[:, 0])]
    side = 0.25 if look.hair == "long" else -0.25
    fringe = np.array(
        [
            [0.98, side],
            [0.9, line * 0.7],
            [0.45, line - 0.06],
            [-0.5, line - 0.02],
            [-0.92, line * 0.7],
            [-0.98, side],
        ]
    )
    shape = np.concatenate([[[-1.08 * w, side * h]], top, [[1.08 * w, side * h]], fringe * (w, h)])
    fill(alpha, _at(shape), 255)
    strands = cv2.GaussianBlur(
        noise.random(image.shape[:2]).astype(np.float32), (0, 0), 1, sigmaY=9
    )
    tone = np.asarray(look.hair_colour) * (1 + 2.4 * (strands[..., None] - 0.5))
    _blend(image, _soft(image.shape[:2], shape, 0.5), tone)


def _glasses(image: np.ndarray, look: Look) -> None:
    dark, thick = shaded(look.hair_colour, 0.4), 3

    def line(points: np.ndarray, closed: bool) -> None:
        fixed = np.round(_at(points) * 2**SUBPIXEL).astype(np.int32)
        cv2.polylines(image, [fixed], closed, dark, thick, cv2.LINE_AA, SUBPIXEL)

    for sign in (-1, 1):
        line(ellipse(sign * look.eye_distance, -look.eye_y + 1, 13, 10.5), True)
        line(
            np.array(
                [
                    [sign * (look.eye_distance + 13), -look.eye_y],
                    [sign * look.width, -look.eye_y - 3],
                ]
            ),
            False,
        )
    inner = look.eye_distance - 13
    line(np.array([[-inner, -look.eye_y], [inner, -look.eye_y]]), False)
