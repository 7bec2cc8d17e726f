"""The program `voicediff`: finds its sub-commands as modules of this folder and runs one of them.

A sub-command is a module with `add_arguments(parser)` and `run(args) -> int | None`; its docstring is
its help. Where the module is slow to import, `add_arguments` is in the module of the same name in
`arguments/`, so that `--help` and wrong arguments are answered without importing torch.
"""

from __future__ import annotations

import argparse
import ast
import errno
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from voicediff.bin.arguments.renamed import check_names
from voicediff.errors import ConfigError, DataError, TrainingError
from voicediff.optional import import_failure

FOLDER = Path(__file__).parent
NOT_THE_PROGRAM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `voicediff COMMAND ...`; returns the exit status.

    2: the user's files or options are wrong, explained in one line. 130: interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv[0] if argv and argv[0] in _commands() else None
    try:
        check_names(command, argv)
        args = _parser(command).parse_args(argv)
        return importlib.import_module(_module(command)).run(args) or 0
    except BrokenPipeError:  # the reader, such as `head`, has finished
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        message = _for_the_user(error)
        if message is None:
            raise
        return _fail(command, message)


def command_parsers() -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Summary and parser of each sub-command."""
    parsers = {}
    for name, summary in _commands().items():
        parser = argparse.ArgumentParser(prog=f"voicediff {name}")
        importlib.import_module(_arguments_module(name)).add_arguments(parser)
        parsers[name] = (summary, parser)
    return parsers


def _for_the_user(error: Exception) -> str | None:
    """The message for the user; None for a defect of the program, which keeps its traceback."""
    if isinstance(error, (ConfigError, DataError, TrainingError)):
        return str(error)
    if isinstance(error, OSError) and error.errno in NOT_THE_PROGRAM:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    failure = import_failure(error)
    return None if failure is None else str(failure)


class _Version(argparse.Action):
    """`--version`: of voicediff, torch and Python, without importing torch."""

    def __init__(self, option_strings: list[str], dest: str, help: str):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *arguments: object) -> None:
        from voicediff import __version__

        try:
            torch = f"torch {importlib.metadata.version('torch')}"
        except importlib.metadata.PackageNotFoundError:
            torch = "no torch"
        print(f"voicediff {__version__} ({torch}, python {platform.python_version()})")
        parser.exit()


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The program's parser; only the sub-command in use has its arguments."""
    parser = argparse.ArgumentParser(
        prog="voicediff",
        description="Diffusion parts for singing voice synthesis and speech separation.",
        epilog="`voicediff COMMAND --help` describes a command.",
    )
    parser.add_argument("--version", action=_Version, help="print the versions and exit")
    choices = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _commands().items():
        if name != command:
            choices.add_parser(name, help=summary, add_help=False)
            continue
        used = choices.add_parser(
            name,
            help=summary,
            description=_docstring(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        importlib.import_module(_arguments_module(name)).add_arguments(used)
    return parser


def _commands() -> dict[str, str]:
    """Sub-commands and the first line of their docstrings, read without importing them."""
    files = sorted(FOLDER.glob("[a-z]*.py"))
    return {path.stem.replace("_", "-"): _summary(path) for path in files if path.stem != "main"}


def _path(command: str) -> Path:
    return FOLDER / f"{command.replace('-', '_')}.py"


def _module(command: str) -> str:
    return f"voicediff.bin.{_path(command).stem}"


def _arguments_module(command: str) -> str:
    """The module with `add_arguments`: the one in `arguments/` if it exists."""
    if (FOLDER / "arguments" / _path(command).name).is_file():
        return f"voicediff.bin.arguments.{_path(command).stem}"
    return _module(command)


def _docstring(command: str) -> str | None:
    """The docstring of a command's module, read without importing it."""
    return ast.get_docstring(ast.parse(_path(command).read_text(encoding="utf-8")))


def _summary(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline().strip().strip('"')


def _fail(command: str | None, message: str) -> int:
    rank = os.environ.get("RANK", "0")
    process = "" if rank == "0" else f" (process {rank})"
    print(f"voicediff {command}{process}: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
