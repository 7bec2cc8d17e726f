"""List the parts of every kind with one line each, of one kind, or one part with its options."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from voicediff.registry import KINDS, describe, get, import_parts, list_parts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(KINDS)}")
    parser.add_argument("name", nargs="?", help="a part: prints its options, types and defaults")
    parser.add_argument(
        "--import", dest="modules", action="append", default=[], help="module or file of parts"
    )


def run(args: argparse.Namespace) -> None:
    import_parts(args.modules)
    if args.name:
        print(describe(get(args.kind, args.name)))
        return
    for kind in [args.kind] if args.kind else KINDS:
        print("\n".join(table(kind)))


def table(kind: str) -> list[str]:
    """The parts of a kind, one line each."""
    parts = list_parts(kind)
    width = max([14, *map(len, parts)])
    columns = max(shutil.get_terminal_size((120, 24)).columns, 60) - width - 3
    lines = [
        f"  {name:{width}} {textwrap.shorten(summary, columns, placeholder=' ...')}"
        for name, summary in parts.items()
    ]
    return [f"{kind}:", *lines]
