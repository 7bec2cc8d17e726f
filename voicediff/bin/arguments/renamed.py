"""Options that have a new name: using an old one is answered with it."""

from __future__ import annotations

from collections.abc import Sequence

from voicediff.errors import ConfigError

RENAMED: dict[str, dict[str, str]] = {
    "choose-vocoder": {"--take": "--select"},
    "decode": {"--beside": "--compare"},
    "report": {"--by": "--metric"},
    "separate": {
        "--smallest": "--min-face",
        "--sure": "--ambiguity-threshold",
        "--consistent": "--share-residual",
    },
}


def check_names(command: str | None, words: Sequence[str]) -> None:
    """Raise ConfigError, naming the new option, where an argument is an option's old name."""
    names = RENAMED.get(command or "", {})
    for word in words:
        old = word.partition("=")[0]
        if old in names:
            raise ConfigError(f"{old}: this option is called {names[old]} now")
