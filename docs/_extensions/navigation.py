"""The navigation of the site, from the sections and links of docs/README.md.

The pages stay plain Markdown: a section of README.md becomes a group of the navigation, its links
become the entries. Links to files outside docs/ lead to the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

REPOSITORY = "https://github.com/voicediff/voicediff"
SECTION = re.compile(r"^## (.+)$", re.M)
PAGE = re.compile(r"\]\(([\w/]+)\.(?:md|rst|ipynb)\)")
API = ["api/parts", "api/commands", "api/index"]
OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)#]*)(#[^)]*)?\)")


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Any, page: str, source: list[str]) -> None:
    root = Path(app.srcdir).parent
    if page == app.config.root_doc:
        source[0] += navigation(source[0])
    if (root / "docs" / f"{page}.md").is_file():
        source[0] = OUTSIDE.sub(lambda link: _in_repository(root, link), source[0])


def navigation(index: str) -> str:
    """The hidden tables of contents for the sections of README.md."""
    return "".join(_toctree(title, pages) for title, pages in groups(index).items())


def groups(index: str) -> dict[str, list[str]]:
    """Pages by section; the pages of docs/api/ follow those of the section Reference."""
    _, *pieces = SECTION.split(index)
    found = {
        title: list(dict.fromkeys(PAGE.findall(text)))
        for title, text in zip(pieces[::2], pieces[1::2], strict=True)
    }
    found["Reference"] += API
    return {title: pages for title, pages in found.items() if pages}


def _toctree(title: str, pages: list[str]) -> str:
    listed = "\n".join(pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{listed}\n```\n"


def _in_repository(root: Path, link: re.Match[str]) -> str:
    path, anchor = link[1].rstrip("/"), link[2] or ""
    kind = "tree" if (root / path).is_dir() else "blob"
    return f"]({REPOSITORY}/{kind}/main/{path}{anchor})"
