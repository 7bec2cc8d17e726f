"""The speakers of mini LRS3: voice and face, sampled from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voicediff.corpora.lrs3.speech import Voice
from voicediff.diffusion.noise import item_seed

Colour = tuple[int, int, int]  # RGB

_ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbclan")
# without the breathy variants (f2, f3, f5, sandro, victor): their noise differs from run to run
_MEN = (
    "m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Diogo Gene Henrique Hugo Lee Mario Michael Mike "
    "Reed adam antonio benjamin boris edward gustave john max michel miguel norbert pablo paul "
    "quincy robert travis"
).split()
_WOMEN = "f1 f4 Andrea Annie anika aunty belinda grandma linda shelby steph".split()
_SKINS = (
    (92, 62, 48), (118, 80, 60), (146, 102, 76), (172, 126, 96), (196, 150, 120),
    (214, 168, 138), (226, 184, 156), (236, 198, 176),
)  # fmt: skip
_HAIRS = (
    (24, 20, 18), (44, 32, 26), (70, 46, 30), (104, 70, 42), (150, 108, 62), (196, 160, 104),
    (128, 60, 36), (140, 138, 136), (214, 212, 208),
)  # fmt: skip
_EYES = ((70, 44, 28), (96, 70, 40), (70, 100, 120), (80, 110, 80), (40, 30, 26))


@dataclass(frozen=True)
class Look:
    """A face in pixels of a 224 x 224 frame, before head movement; lengths from the centre.

    Attributes:
        width, height: half axes of the head.
        jaw: 0 pointed to 1 square.
        mouth_y, mouth_width, lip: below the centre, half width, thickness of a lip.
        eye_y, eye_distance, eye_size: above the centre, from the middle, half width.
        nose: length.
        beard: 0 none to 1 full; moustache and glasses yes or no; hair: style.
    """

    skin: Colour
    hair_colour: Colour
    eye_colour: Colour
    lip_colour: Colour
    shirt: Colour
    width: float
    height: float
    jaw: float
    mouth_y: float
    mouth_width: float
    lip: float
    eye_y: float
    eye_distance: float
    eye_size: float
    brow: float
    nose: float
    beard: float
    moustache: bool
    glasses: bool
    hair: str  # "short", "long", "bald", "bun"
    smile: float
    crooked: float
    texture: int  # seed of skin and beard


@dataclass(frozen=True)
class Person:
    """One speaker: `id` as a folder name, `gender` "m" or "f", voice and face."""

    id: str
    gender: str
    voice: Voice
    look: Look
    articulation: float  # factor on lip movements, about 1


def person(number: int, seed: int) -> Person:
    """Speaker `number` of the corpus with `seed`; men and women alternate."""
    rng = np.random.default_rng(item_seed("person", seed, number))
    gender = "mf"[number % 2]
    return Person(
        id=f"spk{number:04d}",
        gender=gender,
        voice=_voice(gender, rng),
        look=_look(gender, rng),
        articulation=float(rng.uniform(0.75, 1.2)),
    )


def _voice(gender: str, rng: np.random.Generator) -> Voice:
    variants = _MEN if gender == "m" else _WOMEN
    return Voice(
        name=f"{_pick(_ACCENTS, rng)}+{_pick(variants, rng)}",
        pitch=float(rng.uniform(30, 68)),
        range=float(rng.uniform(35, 75)),
        rate=float(rng.uniform(135, 180)),
        size=float(rng.uniform(0.92, 1.06) if gender == "m" else rng.uniform(0.95, 1.1)),
        tilt=float(rng.uniform(-2.5, 2.5)),
    )


def _look(gender: str, rng: np.random.Generator) -> Look:
    man = gender == "m"
    skin = _varied(_pick(_SKINS, rng), 8, rng)
    redder = np.array(skin) * (0.86, 0.66, 0.66) + (22, 2, 6)
    if not man and rng.random() < 0.5:  # lipstick
        redder = 0.55 * redder + 0.45 * np.array(_varied((170, 40, 60), 30, rng))
    return Look(
        skin=skin,
        hair_colour=_varied(_pick(_HAIRS, rng), 8, rng),
        eye_colour=_pick(_EYES, rng),
        lip_colour=tuple(int(c) for c in redder.clip(30, 235)),
        shirt=tuple(int(c) for c in rng.integers(20, 230, 3)),
        width=float(rng.uniform(43, 50) if man else rng.uniform(40, 47)),
        height=float(rng.uniform(60, 67) if man else rng.uniform(56, 63)),
        jaw=float(rng.uniform(0.4, 1.0) if man else rng.uniform(0.0, 0.6)),
        mouth_y=float(rng.uniform(29, 34)),
        mouth_width=float(rng.uniform(16.5, 21)),
        lip=float(rng.uniform(2.6, 4.6) if man else rng.uniform(3.4, 5.6)),
        eye_y=float(rng.uniform(11, 16)),
        eye_distance=float(rng.uniform(17, 21)),
        eye_size=float(rng.uniform(6.5, 8.5)),
        brow=float(rng.uniform(1.2, 2.6) if man else rng.uniform(0.8, 1.6)),
        nose=float(rng.uniform(13, 19)),
        beard=float(rng.uniform(0.25, 0.9)) if man and rng.random() < 0.4 else 0.0,
        moustache=bool(man and rng.random() < 0.25),
        glasses=bool(rng.random() < 0.25),
        hair=str(_pick(("short", "short", "bald") if man else ("long", "long", "bun"), rng)),
        smile=float(rng.uniform(-0.6, 1.4)),
        crooked=float(rng.normal(0, 0.5)),
        texture=int(rng.integers(2**31)),
    )


def _pick(choices, rng: np.random.Generator):
    return choices[rng.integers(len(choices))]


def _varied(colour: Colour, by: float, rng: np.random.Generator) -> Colour:
    level = rng.normal(0, by)
    return tuple(int(np.clip(c + level + rng.normal(0, by / 3), 8, 245)) for c in colour)
