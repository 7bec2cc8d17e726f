"""Conversion of checkpoints of other systems to parts of voicediff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from voicediff.errors import ConfigError
from voicediff.importing import diffsinger, gradtts, hifigan, ncsnpp, sgmse, storm
from voicediff.importing.base import Imported, Part
from voicediff.importing.checkpoint import read_checkpoint, weights_of
from voicediff.importing.folder import load, save

__all__ = ["SOURCES", "Imported", "Part", "convert", "load", "read_checkpoint", "save"]


@dataclass(frozen=True)
class Source:
    """A supported system and the arguments of its constructors."""

    convert: Callable[..., Imported]
    options: frozenset[str]


_SGMSE = frozenset(sgmse.MODEL | ncsnpp.DEFAULTS)

SOURCES: dict[str, Source] = {
    "grad-tts": Source(gradtts.convert, frozenset(gradtts.KNOWN)),
    "sgmse": Source(sgmse.convert, _SGMSE),
    "sgmse-v2": Source(partial(sgmse.convert, backbone="ncsnpp_v2"), _SGMSE),
    "sgmse-48k": Source(partial(sgmse.convert, backbone="ncsnpp_48k"), _SGMSE),
    "storm": Source(storm.convert, frozenset(storm.MODEL | ncsnpp.STORM)),
    "avdiffuss": Source(
        partial(storm.convert, crossing=True), frozenset(storm.MODEL | ncsnpp.CROSSING)
    ),
    "diffsinger": Source(diffsinger.convert, frozenset(diffsinger.KNOWN)),
    "hifigan": Source(hifigan.convert, frozenset(hifigan.KNOWN)),
}


def convert(
    source: str,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    ema: bool = True,
) -> Imported:
    """The networks of a checkpoint of `source` (one of SOURCES) as parts of voicediff.

    state_dict: that of a network or of a whole model, or a checkpoint that contains one.
    options: arguments of the reference implementation's constructors that are neither its defaults
    nor among the hyper-parameters of the checkpoint.
    ema: use the averaged weights if the checkpoint has them, else the raw ones.

    Raises ConfigError for an unknown source or option and DataError, with keys and shapes, where
    the weights do not fit the options.
    """
    name = source.lower().replace("_", "-")
    if name not in SOURCES:
        raise ConfigError(f"import: no source {source!r}; choices: {', '.join(SOURCES)}")
    hyper = state_dict.get("hyper_parameters", {})
    known = {n: v for n, v in hyper.items() if n in SOURCES[name].options}
    weights = weights_of(state_dict, ema, source)
    return SOURCES[name].convert(weights, {**known, **(options or {})}, source)
