"""Settings of decoding from a file and from one text: --inference-config and --inference-args."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SETTINGS = (
    "sampler",
    "steps",
    "nfe",
    "noise_scale",
    "guidance",
    "shallow",
    "vocoder",
    "compare",
    "seed",
    "batch_seconds",
    "batch",
)


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """To be called last: the options that the parser already has can be set in the file as well."""
    names = {action.dest for action in parser._actions}
    usual = {name: parser.get_default(name) for name in SETTINGS if name in names}
    parser.set_defaults(**dict.fromkeys(usual), usual=usual, steps=None)
    parser.add_argument(
        "--inference-config",
        type=Path,
        metavar="FILE",
        help=f"YAML with any of {', '.join(usual)}, steps (of the sampler); options go before it",
    )
    parser.add_argument(
        "--inference-args",
        default="",
        metavar="ARGS",
        help="the same as one text, before the file, e.g. 'sampler=heun steps=4'",
    )


def apply_inference(args: argparse.Namespace, ignored: Iterable[str] = ()) -> None:
    """Fill options that were not given: from --inference-args, the file, then the defaults.

    `nfe` stays None where only `steps` is set: then the sampler's own NFE is meant. Raises
    ConfigError for an unknown setting.
    """
    settings = _settings(args)
    for name in {*args.usual, "steps"} - set(ignored):
        if getattr(args, name) is None:
            setattr(args, name, settings.get(name))
    for name, value in args.usual.items():
        if getattr(args, name) is None and not (name == "nfe" and args.steps is not None):
            setattr(args, name, value)


def chosen_sampler(args: argparse.Namespace, own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the sampler: the given one, else the model's own; `steps` apply to either."""
    spec = own if args.sampler is None else args.sampler
    spec = {"name": spec} if isinstance(spec, str) else dict(spec)
    return spec if args.steps is None else spec | {"steps": args.steps}


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    from voicediff.config import only_keys, override, read_yaml

    found = read_yaml(args.inference_config) if args.inference_config else {}
    found = override(found, shlex.split(args.inference_args))
    only_keys(found, [*args.usual, "steps"], "inference")
    if isinstance(found.get("guidance"), Mapping):
        found["guidance"] = [f"{name}={scale}" for name, scale in found["guidance"].items()]
    if isinstance(found.get("nfe"), list):
        found["nfe"] = ",".join(map(str, found["nfe"]))
    elif found.get("nfe") is not None:
        found["nfe"] = str(found["nfe"])
    return found
