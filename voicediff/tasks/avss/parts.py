"""Networks of separation, built from the task's section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from voicediff.diffusion.distillation import Distillation, DistillationOptions
from voicediff.diffusion.model import Diffusion
from voicediff.encoders.base import FaceEncoder, LipEncoder
from voicediff.errors import ConfigError
from voicediff.networks.conditioning import Sizes
from voicediff.registry import Spec, build

Condition = Literal["mixture", "lips", "others", "lips_tokens", "identity", "identity_tokens"]


def build_encoders(specs: dict[str, Spec | None]) -> tuple[LipEncoder | None, FaceEncoder | None]:
    """The encoders `lips` and `identity`, each None where it is not configured."""
    if set(specs) - {"lips", "identity"}:
        raise ConfigError(f"task.encoders: may have `lips` and `identity`, found {list(specs)}")
    lips, identity = (
        None if specs.get(name) is None else build("encoder", specs[name])
        for name in ("lips", "identity")
    )
    return lips, identity


def condition_sizes(
    names: Sequence[Condition], lips: LipEncoder | None, identity: FaceEncoder | None, at: str
) -> Sizes:
    """Kind and width of each condition of a network; `at` is the option that lists them."""
    sizes: Sizes = {}
    for name in names:
        source, _, kind = name.partition("_")
        if source == "mixture":
            sizes[name] = ("maps", 2)
            continue
        source = "lips" if source == "others" else source
        encoder = lips if source == "lips" else identity
        if encoder is None:
            raise ConfigError(f"{at}: names `{name}`, but task.encoders has no `{source}`")
        usual = "vector" if source == "identity" else "frames"
        sizes[name] = (kind or usual, encoder.dim)
    return sizes


def build_predictor(spec: Spec | None, bins: int, sizes: Sizes) -> nn.Module | None:
    """The predictor with conditions of `sizes`, or None."""
    if spec is None:
        return None
    return build("predictor", spec, channels_in=2, bins=bins, conditions=sizes)


def has_generator(
    decoder: Spec | None, sde: Spec | None, objective: Spec | None, predictor: Spec | None
) -> bool:
    """Whether a diffusion part is configured. ConfigError for an incomplete one, and for no part at all."""
    given = [part is not None for part in (decoder, sde, objective)]
    if any(given) and not all(given):
        raise ConfigError("task: decoder, sde and objective go together; one is missing")
    if not any(given) and predictor is None:
        raise ConfigError("task: needs a predictor, or decoder, sde and objective, or both")
    return all(given)


def build_generator(
    decoder: Spec, sde: Spec, objective: Spec, options: dict[str, Any], bins: int, sizes: Sizes
) -> Diffusion:
    """The diffusion part with conditions of `sizes`."""
    network = build("decoder", decoder, channels_in=2, bins=bins, conditions=sizes)
    return Diffusion(network, build("sde", sde), build("objective", objective), **options)


def build_distillation(
    options: DistillationOptions | None, generator: Diffusion | None
) -> Distillation | None:
    """Teacher and losses for distilling the generator, or None."""
    if options is None:
        return None
    if generator is None:
        raise ConfigError("task.distillation: there is no generator to distil; name a decoder")
    return Distillation(generator, options)


def available_targets(
    targets: Mapping[str, tuple[str, ...]], lips: bool, predictor: bool, generator: bool
) -> dict[str, tuple[str, ...]]:
    """The targets of a configuration; without a predictor the generator also trains the encoders."""
    found = dict(targets)
    if not predictor:
        found["generator"] = ("lips.", "identity.", "diffusion.")
    missing = set() if lips else {"warmup"}
    missing |= set() if predictor else {"predictor", "joint"}
    missing |= set() if generator else {"generator", "joint"}
    return {name: prefixes for name, prefixes in found.items() if name not in missing}
