"""Documents, messages, help, configurations and docstrings are in the field's plain words."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Phrases, not words: `house`, `walk` or `call` alone may be meant literally.
PHRASES = {
    r"the house\b|house's": "architecture",
    r"\brooms? and floors?|\b(ground|top|lower) floors?\b": "modules and layers",
    r"\bthe heart\b": "the core",
    r"\ball the mathematics there is": "one forward process, one learned denoiser, one reverse solver",
    r"\b(network|decoder)'?s? calls\b|\bcalls of (the|a|its) (network|decoder|model)": "NFE",
    r"\b(one|two|four|ten|\d+) calls?\b(?! (back|to))": "NFE",
    r"\bwalks? back\b|\bwalk(s|ed|ing)? from noise": "sampling, reverse process",
    r"\b(is|are) proved on": "verified against closed-form solutions",
    r"\bstudents? (of|that|need|sing)": "distilled models",
    r"\bwhich of them lie\b|\blies? in favour": "biases of the metrics",
    r"\bwitness(es)? each other|\bwitness(es)?\b": "cross-checked",
    r"\bhand(s|ing)? back the mixture": "returning the unprocessed mixture",
    r"\bby heart\b": "overfitted",
    r"\bas if nothing had been": "resumes exactly",
    r"\bhow much is chance": "run-to-run variance",
    r"\blips (rest|learn)": "visual front-end frozen / fine-tuned",
    r"\btake the voices of a video apart|\bvoices apart\b": "separate the speakers in a video",
    r"\ba trained model sound\?": "sanity checks for a trained model",
    r"\brulers?\b": "metrics",
    r"(?<![\"`])\b(same|different) voices?\b": "same speaker / different speakers",
    r"\bthe client('s)?\b": "name the paper or the design",
    r"\bthe slides?'?\b|\bslides' row": "name the paper or the design",
    r"\bverdicts?\b": "result",
    r"\b(is|are|was|were) told (of|about|to|the|which|what|how|by|beside)\b": "given, conditioned on",
    r"\bbefore your eyes\b": "",
    r"\bghosts?\b(?! notes?)": "false detections",
}
# (file, phrase) that is meant literally, and why
EXCEPTIONS = {
    "tests/test_language.py": "holds the list",
    "docs/licences.md": "names of packages and licences",
    "tests/old_experiments/record.py": "keeps the words of the commit it runs with",
}
SUFFIXES = (".md", ".py", ".yaml", ".sh", ".cfg", ".html", ".ipynb", ".toml", ".yml")
SMALL = re.compile(r"(?<![\w.)\]}'\"*/\\$-])-?\.\d+(?![\w.]*\.(py|md|yaml|npz)\b)(?![a-z(])")


@cache
def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    return [
        ROOT / name
        for name in listed
        if name.endswith(SUFFIXES)
        and name not in EXCEPTIONS
        and (ROOT / name).is_file()
        and "/old_experiments/e97c622/" not in name
    ]


@cache
def lines() -> list[tuple[Path, int, str]]:
    """All lines that people read."""
    return [(path, number, line) for path in files() for number, line in prose(path)]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that people read: of Python its strings and comments, of other files everything."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or token.type in _FSTRINGS:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


_FSTRINGS = {getattr(tokenize, name, -1) for name in ("FSTRING_MIDDLE",)}


def docstrings_and_comments(path: Path) -> Iterator[tuple[int, str]]:
    """Of Python what is not data: docstrings and comments; of other text files everything."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        fenced = False
        for number, line in enumerate(text.splitlines(), start=1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield number, re.sub(r"`[^`]*`", "", line)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            first = node.body[0]
            for offset, line in enumerate(first.value.value.splitlines()):
                yield first.lineno + offset, re.sub(r"`[^`]*`", "", line)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: re.sub(r"\W+", " ", phrase)[:40])
def test_no_private_words(phrase):
    wanted = re.compile(phrase, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path, number, line in lines()
        if wanted.search(line)
    ]
    assert not found, f"write {PHRASES[phrase]!r}:\n" + "\n".join(found)


def test_figures_have_their_leading_zero():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path in files()
        if path.suffix in (".md", ".py", ".yaml")
        for number, line in docstrings_and_comments(path)
        if SMALL.search(line)
    ]
    assert not found, "write 0.71, not .71:\n" + "\n".join(found)


@pytest.mark.parametrize("text", ["loses .3 dB", "(.71)", "-.5", "of .02 and"])
def test_a_bare_decimal_is_found(text):
    assert SMALL.search(text)


@pytest.mark.parametrize("text", ["0.71", "v2.0", "a .py file", "x[..., .T]", "./run.sh", "1.5"])
def test_other_dots_are_not(text):
    assert not SMALL.search(text)
