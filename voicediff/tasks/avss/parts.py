"""The networks of separation, built from their section of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from voicediff.diffusion.distillation import Distillation, DistillationOptions
from voicediff.diffusion.model import Diffusion
from voicediff.encoders.base import FaceEncoder, LipEncoder
from voicediff.errors import ConfigError
from voicediff.networks.conditioning import Sizes
from voicediff.registry import Spec, build

Seen = Literal["mixture", "lips", "others", "lips_tokens", "identity", "identity_tokens"]


def encoders_of(specs: dict[str, Spec | None]) -> tuple[LipEncoder | None, FaceEncoder | None]:
    """Of the lips and of the identity, each None where it is not wanted."""
    if set(specs) - {"lips", "identity"}:
        raise ConfigError(f"task.encoders: may have `lips` and `identity`, has {list(specs)}")
    lips, identity = (
        None if specs.get(name) is None else build("encoder", specs[name])
        for name in ("lips", "identity")
    )
    return lips, identity


def sizes_of(
    names: Sequence[Seen], lips: LipEncoder | None, identity: FaceEncoder | None, at: str
) -> Sizes:
    """Kind and width of each condition that a network sees; `at` is where the configuration names them."""
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


def needs_generator(
    decoder: Spec | None, sde: Spec | None, objective: Spec | None, predictor: Spec | None
) -> bool:
    """Whether there is a diffusion part: all three of it, or, beside a predictor, none."""
    given = [part is not None for part in (decoder, sde, objective)]
    if any(given) and not all(given):
        raise ConfigError("task: decoder, sde and objective go together; one is missing")
    if not any(given) and predictor is None:
        raise ConfigError("task: needs a predictor, or decoder, sde and objective, or both")
    return all(given)


def generator_of(
    decoder: Spec, sde: Spec, objective: Spec, options: dict[str, Any], bins: int, sizes: Sizes
) -> Diffusion:
    """The diffusion part; its decoder sees conditions of `sizes`."""
    network = build("decoder", decoder, channels_in=2, bins=bins, conditions=sizes)
    return Diffusion(network, build("sde", sde), build("objective", objective), **options)


def distillation_of(
    options: DistillationOptions | None, generator: Diffusion | None
) -> Distillation | None:
    """What teaches the generator, None where nothing does."""
    if options is None:
        return None
    if generator is None:
        raise ConfigError("task.distillation: there is no generator to distil; name a decoder")
    return Distillation(generator, options)
