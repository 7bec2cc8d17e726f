"""Print a completion script for bash, zsh or fish.

bash: eval "$(voicediff completion bash)" in ~/.bashrc
zsh:  voicediff completion zsh > FOLDER/_voicediff, a folder of $fpath
fish: voicediff completion fish > ~/.config/fish/completions/voicediff.fish
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Option(NamedTuple):
    """An option of a command; the choices of a positional argument have no names."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]


class Command(NamedTuple):
    """A sub-command."""

    help: str
    options: list[Option]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "fish", "zsh"))


def run(args: argparse.Namespace) -> None:
    from voicediff.bin.main import command_parsers

    commands = {name: _command(help, parser) for name, (help, parser) in command_parsers().items()}
    write = {"bash": bash, "fish": fish, "zsh": zsh}[args.shell]
    print("\n".join(write(commands)))


def _command(summary: str, parser: argparse.ArgumentParser) -> Command:
    return Command(summary, [_option(action) for action in parser._actions])


def _option(action: argparse.Action) -> Option:
    takes_value = action.nargs != 0
    text = (action.help or "") % {"default": action.default, "prog": "voicediff"}
    choices = tuple(map(str, action.choices or ()))
    return Option(tuple(action.option_strings), text, takes_value, choices)


def bash(commands: Mapping[str, Command]) -> Iterator[str]:
    """The lines of bash's script."""
    yield "_voicediff() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}" last="${COMP_WORDS[COMP_CWORD-1]}" words=""'
    yield '  case "$COMP_CWORD ${COMP_WORDS[1]} $last" in'
    yield f'    "1 "*) words="{" ".join([*commands, "--help", "--version"])}" ;;'
    for name, command in commands.items():
        for option in command.options:
            if option.choices:
                places = [f'*" {name} {n}"' for n in option.names] or [f'"2 {name} "*']
                yield f'    {"|".join(places)}) words="{" ".join(option.choices)}" ;;'
    for name, command in commands.items():
        names = [n for option in command.options for n in option.names]
        yield f'    *" {name} "*) [[ $word == -* ]] && words="{" ".join(names)}" ;;'
    yield "  esac"
    yield '  if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield '  else COMPREPLY=($(compgen -f -- "$word")); fi'
    yield "}"
    yield "complete -o filenames -F _voicediff voicediff"


def fish(commands: Mapping[str, Command]) -> Iterator[str]:
    """The lines of fish's script."""
    yield "complete -c voicediff -n __fish_use_subcommand -l version -d 'print the versions'"
    for name, command in commands.items():
        summary = shlex.quote(command.help)
        yield f"complete -c voicediff -f -n __fish_use_subcommand -a {name} -d {summary}"
        start = f"complete -c voicediff -n '__fish_seen_subcommand_from {name}'"
        for option in command.options:
            choices = f" -a '{' '.join(option.choices)}'" if option.choices else ""
            if option.names:
                names = " ".join(_fish_name(n) for n in option.names)
                value = " -r" * option.takes_value
                yield f"{start} {names} -d {shlex.quote(option.help)}{value}{choices}"
            elif choices:
                yield f"{start} -f{choices}"


def _fish_name(name: str) -> str:
    return f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"


def zsh(commands: Mapping[str, Command]) -> Iterator[str]:
    """The lines of zsh's script."""
    yield "#compdef voicediff"
    yield "_voicediff() {"
    yield "  local -a commands"
    yield "  commands=("
    for name, command in commands.items():
        yield f"    {shlex.quote(f'{name}:{command.help}')}"
    yield "  )"
    yield "  if (( CURRENT == 2 )); then _describe command commands; return; fi"
    yield "  local name=$words[2]"
    yield "  shift words; (( CURRENT-- ))"
    yield "  case $name in"
    for name, command in commands.items():
        specs = [spec for option in command.options for spec in _zsh_specs(option)]
        yield f"    {name}) _arguments {' '.join(map(shlex.quote, specs))} '*:file:_files' ;;"
    yield "  esac"
    yield "}"
    yield 'if [[ $funcstack[1] == _voicediff ]]; then _voicediff "$@"'
    yield "else compdef _voicediff voicediff; fi"


def _zsh_specs(option: Option) -> list[str]:
    """`--steps[help]:value:_files` for each name, `1:value:(choices)` for a positional argument."""
    value = f"({' '.join(option.choices)})" if option.choices else "_files"
    if not option.names:
        return [f"1:value:{value}"] if option.choices else []
    text = "".join("\\" * (c in "[]:\\") + c for c in option.help)
    argument = f":value:{value}" * option.takes_value
    return [f"*{name}[{text}]{argument}" for name in option.names]
