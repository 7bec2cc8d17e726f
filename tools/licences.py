"""The licences of all packages that an installation brings, by the extra that brings them.

    python tools/licences.py            prints the table of docs/licences.md
    python tools/licences.py --write    writes it there
    python tools/licences.py --check    exit status 1 where the default installation holds GPL code

It reads the metadata of the packages that are installed; run it in an environment made by
tools/setup.sh. What an installed package needs is followed through its requirements.
"""

from __future__ import annotations

import argparse
import configparser
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
DEFAULT = "(default)"
CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")
NAMES = {
    "apache": "Apache-2.0",
    "bsd": "BSD",
    "mit": "MIT",
    "mozilla": "MPL-2.0",
    "python software foundation": "PSF-2.0",
    "isc": "ISC",
    "historical permission": "HPND",
    "lesser general public": "LGPL",
    "general public": "GPL",
}
# What metadata does not say: no licence at all, or compiled libraries inside a wheel.
STATED = {
    "av": "BSD-3-Clause; its wheels hold FFmpeg (LGPL-3), libx264 and libx265 (GPL-2)",
    "espeakng-loader": "MIT; its wheels hold espeak-ng (GPL-3)",
    "opencv-python-headless": "Apache-2.0; its wheels hold FFmpeg (LGPL-2.1)",
    "soundfile": "BSD-3-Clause; its wheels hold libsndfile (LGPL-2.1)",
}
INTRO = """# Licences of what an installation brings

voicediff itself is MIT. Written by `python tools/licences.py --write` from the metadata of the installed
packages; each package stands under the first extra that brings it.
"""


def requirements() -> dict[str, list[Requirement]]:
    """Requirements of setup.cfg by extra, the default installation first; `all` is left out."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    found = {DEFAULT: config["options"]["install_requires"]}
    found |= dict(config["options.extras_require"])
    return {
        extra: [Requirement(line) for line in text.splitlines() if line.strip()]
        for extra, text in found.items()
        if extra != "all"
    }


def closure(wanted: list[Requirement]) -> set[str]:
    """Installed distributions that requirements bring, directly and indirectly, by normal name."""
    found: set[tuple[str, str]] = set()
    open_list = [item for requirement in wanted for item in _items(requirement, "")]
    while open_list:
        name, extra = item = open_list.pop()
        if item in found:
            continue
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(item)
        open_list += [i for line in needed for i in _items(Requirement(line), extra)]
    return {name for name, _ in found}


def _items(requirement: Requirement, extra: str) -> Iterator[tuple[str, str]]:
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        return
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    yield name, ""
    yield from ((name, wanted) for wanted in requirement.extras)


def licence(name: str) -> str:
    """The licence of an installed distribution as its metadata says it, shortened."""
    if name in STATED:
        return STATED[name]
    data = importlib.metadata.metadata(name)
    if data.get("License-Expression"):
        return data["License-Expression"]
    classified = [
        line.rpartition("::")[2].strip()
        for line in data.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    text = " / ".join(classified) or (data.get("License") or "not stated").splitlines()[0]
    short = [value for key, value in NAMES.items() if re.search(rf"\b{key}", text.lower())]
    version = (
        re.search(r"v?(\d)(?:\.0)? ?(or later|only|\+)?", text)
        if "GPL" in " ".join(short)
        else None
    )
    if "LGPL" in short:
        short = ["LGPL"]
    return " / ".join(short) + (f"-{version[1]}" if version and short else "") or text[:60]


def is_gpl(text: str) -> bool:
    """Whether a licence is the GPL or AGPL; the LGPL, which allows linking, is not meant."""
    return bool(re.search(r"(?<!L)A?GPL", text)) and "LGPL" not in text


def by_extra() -> dict[str, set[str]]:
    """The distributions that each extra brings beyond the extras before it."""
    brought: set[str] = set()
    table = {}
    for extra, wanted in requirements().items():
        names = closure(wanted) - brought
        table[extra], brought = names, brought | names
    return table


def table() -> str:
    """The page: a heading and a table of packages and licences for each extra."""
    parts = [INTRO]
    for extra, names in by_extra().items():
        title = (
            "The default installation: singing and separating"
            if extra == DEFAULT
            else f"`[{extra}]`"
        )
        lines = [f"| {n} | {licence(n)} |" for n in sorted(names) if not CUDA.match(n)]
        if any(map(CUDA.match, names)):
            lines.append(
                "| nvidia-*, cuda-*, triton (only with torch's CUDA build) | NVIDIA's own terms; MIT |"
            )
        if lines:
            parts.append(
                "\n".join([f"## {title}\n", "| package | licence |", "|---|---|", *lines]) + "\n"
            )
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument(
        "--check", action="store_true", help="refuse GPL in the default installation"
    )
    args = parser.parse_args()
    if args.check:
        bad = [f"{n}: {licence(n)}" for n in sorted(by_extra()[DEFAULT]) if is_gpl(licence(n))]
        print("\n".join(bad) or "The default installation holds no package under the GPL.")
        return int(bool(bad))
    if args.write:
        PAGE.write_text(table(), encoding="utf-8")
    else:
        print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
