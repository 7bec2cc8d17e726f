"""Pages of the API reference, written into docs/api/ before the site is built.

One page for each package with all its modules, one for the registered parts with their options, one
for the sub-commands of `voicediff`.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from plain_docstrings import as_rst, escaped

import voicediff
from voicediff.registry import KINDS, Entry, entries

PACKAGE = Path(voicediff.__file__).parent
HIDDEN = {"__init__", "__main__", "bin"}  # the interface has its own page, as have the commands


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "api"))
    return {"parallel_read_safe": True}


def write(folder: Path) -> None:
    """Write the pages that differ from what is there, so that Sphinx reads only these again."""
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.rst": package_page(name) for name in packages()}
    pages |= {"parts.rst": parts_page(), "commands.rst": commands_page(), "index.rst": index_page()}
    for file in set(folder.glob("*.rst")) - {folder / name for name in pages}:
        file.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# -- packages -----------------------------------------------------------------------------------


def packages() -> list[str]:
    """Packages and modules directly below voicediff/."""
    names = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")}
    return sorted({name.removesuffix(".py") for name in names} - HIDDEN)


def modules(package: str) -> list[str]:
    """Full names of a package's modules, the package itself first."""
    files = sorted((PACKAGE / package).rglob("*.py")) or [PACKAGE / f"{package}.py"]
    names = (".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files)
    return sorted(name.removesuffix(".__init__") for name in names)


def package_page(package: str) -> str:
    parts = [_title(f"voicediff.{package}", "=")]
    for module in modules(package):
        parts += [_title(module, "-")] if module != f"voicediff.{package}" else []
        parts.append(_automodule(module, "   :ignore-module-all:\n"))
    return "\n".join(parts)


def _automodule(module: str, extra: str = "") -> str:
    return f".. automodule:: {module}\n   :members:\n   :show-inheritance:\n{extra}"


def index_page() -> str:
    listed = "\n".join(f"   {name}" for name in packages())
    head = f"{_title('API reference', '=')}\n{_automodule('voicediff')}"
    return f"{head}\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n"


# -- registered parts ---------------------------------------------------------------------------


def parts_page() -> str:
    """Every registered part with its options, by kind."""
    lines = [_title("Registered parts", "="), "Names and options as they are written in YAML.\n"]
    for kind in KINDS:
        lines += [_title(kind, "-"), *map(_part, own(kind))]
    return "\n".join(lines)


def own(kind: str) -> list[Entry]:
    """Parts of this package; other installed packages may register more."""
    mine = [e for e in entries(kind).values() if e.part.__module__.startswith("voicediff.")]
    return sorted(mine, key=lambda entry: entry.name)


def _part(entry: Entry) -> str:
    place = f"{entry.part.__module__}.{entry.part.__qualname__}"
    lines = [f"``{entry.name}``", f"   {escaped(entry.summary)} (:py:obj:`{place}`)\n"]
    options = ", ".join(f"``{option}``" for option in _options(entry))
    lines += [f"   Options: {options}\n"] if options else []
    return "\n".join(lines)


def _options(entry: Entry) -> Iterator[str]:
    for name, option in entry.options.items():
        hint = option.annotation if isinstance(option.annotation, str) else "Any"
        default = option.default
        if default is inspect.Parameter.empty:
            yield f"{name}: {hint}"
        else:
            value = f"{type(default).__name__}()" if is_dataclass(default) else repr(default)
            yield f"{name}: {hint} = {value}"


# -- sub-commands -------------------------------------------------------------------------------


def commands_page() -> str:
    """Every sub-command of the program with its arguments."""
    lines = [_title("Commands", "=")]
    for path in sorted((PACKAGE / "bin").glob("[a-z]*.py")):
        if path.stem != "main":
            lines.append(_command(path.stem))
    return "\n".join(lines)


def _command(name: str) -> str:
    module = importlib.import_module(f"voicediff.bin.{name}")
    if not hasattr(module, "add_arguments"):
        return ""
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    arguments = "\n".join(map(_argument, parser._actions))
    title = _title(f"voicediff {name.replace('_', '-')}", "-")
    return f"{title}\n{as_rst(inspect.getdoc(module) or '')}\n{arguments}\n"


def _argument(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or _value(action)
    value = f" {_value(action)}" if action.nargs != 0 and action.option_strings else ""
    help_ = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f"``{name}{value}``\n   {escaped(help_)}\n"


def _value(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    return " ".join(value) if isinstance(value, tuple) else value


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"
