"""Articulation targets of the Korean phones: formants, noise, and timing.

Vowel formants are those of female speakers of Seoul (Yang 1996, "A comparative study of American
English and Korean vowels"), rounded; consonants follow the locus idea (Delattre et al. 1955).
"""

from __future__ import annotations

from dataclasses import dataclass

Formants = tuple[float, float, float, float, float]

#: F1 to F5 in Hz
VOWELS: dict[str, Formants] = {
    "a": (960, 1500, 2900, 4000, 5000),
    "ae": (660, 2250, 3000, 4100, 5050),
    "e": (580, 2340, 3020, 4100, 5050),
    "eo": (720, 1180, 2900, 4000, 5000),
    "o": (470, 860, 2850, 3900, 4900),
    "u": (400, 840, 2800, 3850, 4900),
    "eu": (430, 1600, 2880, 4000, 5000),
    "ui": (330, 2750, 3450, 4200, 5100),
    "i": (330, 2780, 3480, 4250, 5100),
    "oe": (560, 2150, 2850, 4000, 5000),
}
#: formants at the beginning of a glide; `ui` begins with `eu`
GLIDES: dict[str, Formants] = {
    "y": (300, 2800, 3400, 4200, 5100),
    "w": (320, 720, 2650, 3800, 4900),
    "eu": VOWELS["eu"],
}


@dataclass(frozen=True)
class Consonant:
    """Synthesis parameters of a consonant.

    Attributes:
        kind: stop, fricative, affricate, nasal, liquid, flap, breath.
        seconds: duration before the vowel.
        locus: F1, F2, F3 in Hz towards which the formants of the vowel move.
        pull: weight of the locus against the vowel, 0 to 1.
        noise: key of NOISES for the release, or "back".
        burst, gain: duration in seconds and amplitude of the noise at the release.
        aspiration: seconds of aspiration between release and vowel.
        raises: cents by which F0 is raised at the beginning of the vowel.
        zero: Hz of the nasal zero.
    """

    kind: str
    seconds: float
    locus: tuple[float, float, float]
    pull: float
    noise: str = ""
    burst: float = 0.0
    gain: float = 0.0
    aspiration: float = 0.0
    raises: float = 0.0
    zero: float = 280.0


_LIPS, _TEETH, _BACK = (280, 900, 2500), (280, 1850, 2950), (280, 2000, 2600)
_PALATE = (280, 2300, 3200)

CONSONANTS: dict[str, Consonant] = {
    "b": Consonant("stop", 0.062, _LIPS, 0.7, "lips", 0.008, 0.20, 0.018),
    "d": Consonant("stop", 0.058, _TEETH, 0.7, "teeth", 0.010, 0.22, 0.018),
    "g": Consonant("stop", 0.066, _BACK, 0.5, "back", 0.014, 0.22, 0.024),
    "p": Consonant("stop", 0.105, _LIPS, 0.7, "lips", 0.010, 0.35, 0.055, 35),
    "pp": Consonant("stop", 0.095, _LIPS, 0.7, "lips", 0.008, 0.30, 0.004, 25),
    "t": Consonant("stop", 0.105, _TEETH, 0.7, "teeth", 0.012, 0.40, 0.055, 35),
    "tt": Consonant("stop", 0.095, _TEETH, 0.7, "teeth", 0.010, 0.35, 0.004, 25),
    "k": Consonant("stop", 0.112, _BACK, 0.5, "back", 0.016, 0.40, 0.062, 35),
    "kk": Consonant("stop", 0.098, _BACK, 0.5, "back", 0.014, 0.35, 0.005, 25),
    "j": Consonant("affricate", 0.078, _PALATE, 0.6, "palate", 0.036, 0.20, 0.008),
    "jj": Consonant("affricate", 0.105, _PALATE, 0.6, "palate", 0.030, 0.26, 0.0, 25),
    "ch": Consonant("affricate", 0.118, _PALATE, 0.6, "palate", 0.055, 0.28, 0.030, 35),
    "s": Consonant("fricative", 0.100, (330, 1800, 2900), 0.6, "s", 0.078, 0.20, 0.022, 15),
    "ss": Consonant("fricative", 0.118, (330, 1800, 2900), 0.6, "s", 0.110, 0.26, 0.0, 25),
    "h": Consonant("breath", 0.070, (450, 1500, 2800), 0.0, aspiration=0.070),
    "m": Consonant("nasal", 0.068, (270, 1050, 2300), 0.8, zero=520),
    "n": Consonant("nasal", 0.062, (280, 1600, 2650), 0.8, zero=460),
    "ng": Consonant("nasal", 0.085, (290, 1900, 2700), 0.6, zero=560),
    "r": Consonant("flap", 0.034, (400, 1550, 2500), 0.6),
    "l": Consonant("liquid", 0.060, (380, 1350, 2850), 0.8),
}

#: noise at each place: (centre Hz, width Hz, gain); `back` follows the vowel's F2
NOISES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "lips": ((700, 600, 1.0), (1800, 1500, 0.3)),
    "teeth": ((4200, 1300, 1.0), (7000, 2000, 0.5), (1800, 500, 0.25)),
    "palate": ((3900, 900, 1.0), (6500, 1500, 0.5)),
    "s": ((7300, 1500, 1.0), (10500, 2500, 0.5), (4800, 1000, 0.25)),
    "sh": ((4600, 900, 1.0), (7200, 1800, 0.5)),
}


def nucleus(symbol: str) -> tuple[Formants | None, Formants]:
    """Initial formants of a nucleus (None without a glide) and its sustained formants."""
    if symbol in ("ui",):
        return GLIDES["eu"], VOWELS["i"]
    if symbol in VOWELS:
        return None, VOWELS[symbol]
    return GLIDES[symbol[0]], VOWELS[symbol[1:]]


def noise_bands(consonant: Consonant, vowel: Formants, scale: float) -> tuple:
    """Noise bands (Hz, Hz, gain) before this vowel; `s` before `i` is palatalised."""
    if consonant.noise == "back":
        f2 = vowel[1]
        return ((f2 * 1.05, 300, 1.0), (f2 * 2.2, 900, 0.35))
    name = "sh" if consonant.noise == "s" and vowel[1] > 2500 else consonant.noise
    return tuple((centre * scale, width, gain) for centre, width, gain in NOISES[name])
