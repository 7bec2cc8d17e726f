#!/usr/bin/env python3
"""Write docs/api.md: every room's public names, registered parts and sub-commands, from the source.

python docs/make_api.py           # write docs/api.md
python docs/make_api.py --check   # exit 1 where it is not up to date
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

from voicediff.registry import KINDS, Entry, entries

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "voicediff"
PAGE = ROOT / "docs" / "api.md"
WIDEST = 100  # characters of a signature in one line
LATER = ("bin", "__main__", "__init__")  # the program has its own section

HEAD = """\
# API reference

Written by `docs/make_api.py` from the source; do not edit it, run the script again. One section for each
room, from the ground floor up: its registered parts with their options as they are written in YAML, then
public classes and functions with the first sentence of their docstrings; the docstrings say the rest
(`python -m pydoc voicediff.diffusion.model`). What the rooms are for is said in the [tour](tour.md). `voicediff
list KIND NAME` prints a part with its whole docstring.
"""

FLOORS = """
    errors layers noise  conditions config files registry  audio networks sdes text
    decoders importing music objectives predictors times vocoders  data metrics report samplers
    corpora encoders gaussian steering  diffusion  tasks  experiment performance  training
""".split()  # the order of the sections; a room that is not named here comes last


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    page = reference()
    if parser.parse_args().check:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


def reference() -> str:
    """The whole page."""
    rooms = sorted(_rooms(), key=lambda r: (FLOORS.index(r) if r in FLOORS else 99, r))
    kinds = ", ".join(f"[{kind}](#kind-{kind})" for kind in KINDS if _own(kind))
    parts = [HEAD, f"Kinds of registered parts: {kinds}.\n", *map(_section, rooms), _program()]
    return "\n".join(parts).rstrip() + "\n"


def _rooms() -> set[str]:
    names = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".py") for name in names} - set(LATER)


def _section(room: str) -> str:
    """A room: its own words, its kinds of parts, its modules."""
    lines = [f"## voicediff.{room}\n"]
    folder = PACKAGE / room
    if folder.is_dir():
        summary = ast.get_docstring(_tree(folder / "__init__.py"))
        files = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
    else:
        summary, files = None, [folder.with_suffix(".py")]
    if summary:
        lines.append(f"{_sentence(summary)}\n")
    for kind, module in KINDS.items():
        if module == f"voicediff.{room}" or module.startswith(f"voicediff.{room}."):
            lines += _parts(kind)
    for path in files:
        lines += _module(path)
    for path in sorted(folder.rglob("__init__.py")) if folder.is_dir() else []:
        lines += _module(path)
    return "\n".join(lines)


# -- registered parts ---------------------------------------------------------------------------


def _parts(kind: str) -> list[str]:
    """The parts of a kind, each with its options."""
    found = _own(kind)
    if not found:
        return []
    lines = [f"### kind: {kind}\n"]
    for entry in found:
        place = f"`{entry.part.__module__}.{entry.part.__qualname__}`"
        lines.append(f"- **`{entry.name}`** {_sentence(entry.summary)} ({place})")
        options = ", ".join(f"`{option}`" for option in _options(entry))
        lines += [f"  Options: {options}"] if options else []
    return [*lines, ""]


def _own(kind: str) -> list[Entry]:
    """The house's own parts: what other installed packages register has its place with them."""
    mine = [e for e in entries(kind).values() if e.part.__module__.startswith("voicediff.")]
    return sorted(mine, key=lambda entry: entry.name)


def _options(entry: Entry) -> Iterator[str]:
    for name, option in entry.options.items():
        hint = option.annotation if isinstance(option.annotation, str) else "Any"
        if option.default is inspect.Parameter.empty:
            yield f"{name}: {hint}"
        else:
            yield f"{name}: {hint} = {_default(option.default)}"


def _default(value: object) -> str:
    return f"{type(value).__name__}()" if is_dataclass(value) else repr(value)


# -- modules ------------------------------------------------------------------------------------


def _module(path: Path) -> list[str]:
    """What a module offers; nothing where it offers nothing of its own."""
    tree = _tree(path)
    names = [line for node in tree.body for line in _name(node)]
    if not names:
        return []
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    summary = _sentence(ast.get_docstring(tree) or "")
    heading = [f"### {module}\n"] if path.parent != PACKAGE else []
    return [*heading, f"{summary}\n", *names, ""]


def _name(node: ast.stmt) -> Iterator[str]:
    """A public class or function, and a class's public methods that have a docstring."""
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or not _is_public(node):
        return
    if any(_called(decorator) == "register" for decorator in node.decorator_list):
        return  # it stands among the parts of its kind
    if isinstance(node, ast.FunctionDef):
        yield f"- `{_signature(node.name, node.args, node.returns)}`{_said(node)}"
        return
    yield f"- **`{_constructor(node)}`**{_said(node)}"
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and _is_public(member) and ast.get_docstring(member):
            is_property = any(getattr(d, "id", "") == "property" for d in member.decorator_list)
            spelled = _signature(member.name, member.args, member.returns)
            yield f"  - `{member.name if is_property else spelled}`{_said(member)}"


def _constructor(node: ast.ClassDef) -> str:
    """The class as it is made: the fields of a dataclass, or the arguments of its constructor."""
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        inside = ", ".join(_field(item) for item in fields if "ClassVar" not in ast.unparse(item))
        return _short(node.name, inside, "")
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _signature(node.name, item.args, None)
    return node.name


def _field(item: ast.AnnAssign) -> str:
    spelled = f"{ast.unparse(item.target)}: {ast.unparse(item.annotation)}"
    if item.value is None:
        return spelled
    value = ast.unparse(item.value)
    return f"{spelled} = {'...' if value.startswith('field(') else value}"


def _signature(name: str, arguments: ast.arguments, returns: ast.expr | None) -> str:
    inside = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(arguments))
    inside = re.sub(r"(: [^=,()]+?)=", r"\1 = ", inside)
    return _short(name, inside, f" -> {ast.unparse(returns)}" if returns else "")


def _short(name: str, inside: str, returns: str) -> str:
    """The signature, without types where it would be too long to read."""
    spelled = f"{name}({inside}){returns}"
    if len(spelled) <= WIDEST:
        return spelled
    arguments = ast.parse(f"def f({_as_arguments(inside)}): ...").body[0].args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    return f"{name}({ast.unparse(arguments)}){returns}"


def _as_arguments(fields: str) -> str:
    """The fields of a dataclass may have needed ones after others: mark these as keyword-only."""
    try:
        ast.parse(f"def f({fields}): ...")
    except SyntaxError:
        return f"*, {fields}"
    return fields


def _is_public(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return not node.name.startswith("_")


def _called(decorator: ast.expr) -> str:
    return getattr(decorator.func, "id", "") if isinstance(decorator, ast.Call) else ""


def _said(node: ast.ClassDef | ast.FunctionDef) -> str:
    text = _sentence(ast.get_docstring(node) or "")
    return f": {text}" if text else ""


def _sentence(text: str) -> str:
    """The first sentence of a docstring, in one line; angle brackets are text, not HTML."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    first = re.split(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z`])", paragraph)[0]
    return first.replace("<", "&lt;").rstrip(":")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# -- the program --------------------------------------------------------------------------------


def _program() -> str:
    """Every sub-command with its arguments."""
    lines = ["## The program `voicediff`\n"]
    for path in sorted((PACKAGE / "bin").glob("[a-z]*.py")):
        if path.stem == "main":
            continue
        module = importlib.import_module(f"voicediff.bin.{path.stem}")
        parser = argparse.ArgumentParser(add_help=False)
        module.add_arguments(parser)
        lines.append(f"### voicediff {path.stem.replace('_', '-')}\n")
        lines.append(f"{_sentence(module.__doc__)}\n")
        lines += [_argument(action) for action in parser._actions]
        lines.append("")
    return "\n".join(lines)


def _argument(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or action.metavar or action.dest
    value = "" if action.nargs == 0 or not action.option_strings else f" {_value(action)}"
    help_ = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f"- `{name}{value}`" + (f": {help_}" if help_ else "")


def _value(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    return " ".join(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    sys.exit(main())
