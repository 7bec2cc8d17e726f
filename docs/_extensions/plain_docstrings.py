"""Docstrings of voicediff as reStructuredText.

They are plain text: code between single backticks, sections `Args:` and `Attributes:` or lines
`name: meaning`, indented formulas, and characters such as * and | without a special meaning.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

SECTION = re.compile(r"(Args|Attributes|Returns|Raises):\n")
ENTRY = re.compile(r"^([\w*]+(?:, [\w*]+)*): ", re.M)
BULLET = re.compile(r"^(?:[-*]|\d+\.) ")


def setup(app: Any) -> dict[str, bool]:
    app.add_post_transform(TypesOfOtherPackages)
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}


class TypesOfOtherPackages(SphinxPostTransform):
    """Types such as Tensor stay text: the search for their page would fail, and takes minutes."""

    default_priority = 5  # before references are resolved

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(pending_xref)):
            is_own = node["reftarget"].startswith("voicediff")
            if node.get("refdomain") == "py" and not is_own:
                node.replace_self(node.children)


def _process(app: Any, what: str, name: str, part: object, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst("\n".join(lines)).splitlines()


def _signature(
    app: Any, what: str, name: str, part: object, options: Any, arguments: str | None, result: Any
) -> tuple[str | None, Any]:
    return arguments and arguments.replace("<factory>", "..."), result


def as_rst(text: str) -> str:
    """A plain docstring as reStructuredText."""
    paragraphs = re.split(r"\n\s*\n", text.expandtabs().strip("\n"))
    return "\n\n".join(line for p in paragraphs if p.strip() for line in _paragraph(p)) + "\n"


def _paragraph(text: str) -> Iterator[str]:
    section = SECTION.match(text)
    if section:
        yield f"**{section[1]}**"
        yield _list(textwrap.dedent(text[section.end() :]), ENTRY)
    elif text.startswith(">>>"):
        yield text  # an example; it ends at the blank line
    elif text.startswith(" "):
        yield "::\n\n" + textwrap.indent(textwrap.dedent(text), "    ")
    elif BULLET.match(text):
        yield _list(text, BULLET)
    elif "\n " in text and ENTRY.search(text):
        yield _list(text, ENTRY)
    else:
        yield escaped(textwrap.dedent(" ".join(line.strip() for line in text.splitlines())))


def _list(text: str, start: re.Pattern[str]) -> str:
    """The lines of a list: an item begins where `start` matches an unindented line."""
    items: list[str] = []
    for line in text.splitlines():
        if items and not start.match(line):
            items[-1] += " " + line.strip()
        else:
            items.append(line)
    return "\n".join(f"* {_item(item)}" for item in items)


def _item(text: str) -> str:
    name = ENTRY.match(text)
    if name:
        return f"``{name[1]}``: {escaped(text[name.end() :])}"
    return escaped(BULLET.sub("", text))


def escaped(text: str) -> str:
    """Text for reStructuredText: code between backticks stays, other marks lose their meaning."""
    parts = re.split(r"`+([^`]+)`+", text)
    for i, part in enumerate(parts):
        parts[i] = rf"\ ``{part}``\ " if i % 2 else re.sub(r"([*|\\`]|_(?!\w))", r"\\\1", part)
    return "".join(parts).strip()
