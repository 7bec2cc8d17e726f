"""Run commands in forked processes and list the packages that each has imported.

Argument: a JSON list of entries {"command": [...]} with, optionally,
    prelude: a module imported before forking; consecutive entries share the time it takes.
    modules: imported in the place of running a command.
    missing: a package that cannot be found.
    broken: a package whose import raises OSError, as a library that does not load.
Prints a JSON list of {"status", "stderr" (standard error), "packages"}.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
from importlib.machinery import ModuleSpec
from types import ModuleType

from voicediff.bin.main import main
from voicediff.optional import PACKAGES


class Obstacle:
    """Finds `package` first and fails, as if it were missing or could not be loaded."""

    def __init__(self, package: str, missing: bool):
        self.package, self.missing = package, missing

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != self.package:
            return None
        if self.missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code = "raise OSError('libexample.so.1: undefined symbol')"
        exec(compile(code, "example.py", "exec"), module.__dict__)


def place_obstacle(package: str, missing: bool) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            del sys.modules[name]
    sys.meta_path.insert(0, Obstacle(package, missing))
    if missing:
        version = importlib.metadata.version
        gone = PACKAGES[package].distribution

        def hidden(distribution: str) -> str:
            if distribution == gone:
                raise importlib.metadata.PackageNotFoundError(distribution)
            return version(distribution)

        importlib.metadata.version = hidden


def act(entry: dict) -> int:
    for how in ("missing", "broken"):
        if how in entry:
            place_obstacle(entry[how], how == "missing")
    for module in entry.get("modules", ()):
        importlib.import_module(module)
    try:
        return main(entry["command"]) if "command" in entry else 0
    except SystemExit as ended:
        return ended.code or 0


def in_a_fork(entry: dict) -> dict:
    with tempfile.TemporaryFile("w+") as stderr, tempfile.TemporaryFile("w+") as result:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(stderr.fileno(), 2)
            try:
                status = act(entry)
                packages = sorted(set(PACKAGES) & set(sys.modules))
                json.dump({"status": status, "packages": packages}, result)
                result.flush()
                sys.stderr.flush()
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        stderr.seek(0)
        result.seek(0)
        answer = json.loads(result.read() or '{"status": null, "packages": []}')
        return {**answer, "stderr": stderr.read()}


def run_all(entries: list[dict]) -> list[dict]:
    results = []
    for entry in entries:
        if entry.get("prelude"):
            importlib.import_module(entry["prelude"])
        results.append(in_a_fork(entry))
    return results


if __name__ == "__main__":
    print(json.dumps(run_all(json.loads(sys.argv[1]))))
