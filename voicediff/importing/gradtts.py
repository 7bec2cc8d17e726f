"""Grad-TTS' decoder (Popov et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from voicediff.audio import MelSpec
from voicediff.importing.base import (
    Imported,
    Options,
    Renamed,
    Weights,
    fitted,
    permuted,
    under,
)

DEFAULTS: dict[str, Any] = {
    "n_feats": 80,
    "dim": 64,
    "dim_mults": (1, 2, 4),
    "groups": 8,
    "n_spks": 1,
    "spk_emb_dim": 64,
    "pe_scale": 1000,
    "beta_min": 0.05,
    "beta_max": 20.0,
}
#: arguments of the whole model that do not concern the decoder
_OTHER = (
    "n_vocab n_enc_channels filter_channels filter_channels_dp n_heads n_enc_layers enc_kernel "
    "enc_dropout window_size dec_dim"
).split()
KNOWN: dict[str, Any] = {**DEFAULTS, **dict.fromkeys(_OTHER)}


def convert(weights: Weights, given: dict[str, Any], at: str) -> Imported:
    """The decoder of a whole model (`decoder.estimator.*`) or a bare `GradLogPEstimator2d`."""
    given = dict(given)
    if "dec_dim" in given:
        given.setdefault("dim", given["dec_dim"])
    options = Options("grad-tts", KNOWN, given)
    estimator = under(weights, "decoder.estimator.") or under(weights, "estimator.") or weights
    whole = any(name.startswith(("encoder.", "decoder.")) for name in weights)
    speakers = (options["n_spks"] or 1) > 1
    spec = {
        "name": "unet",
        "channels_in": 1,
        "bins": options["n_feats"],
        "conditions": {"speaker": ("vector", options["spk_emb_dim"])} if speakers else {},
        "channels": options["dim"],
        "multipliers": tuple(options["dim_mults"]),
        "groups": 8,  # the reference implementation ignores its argument of this name
        "vector_as": "map",
        "time_scale": float(options["pe_scale"]),
        "normalised_query": False,
        "padded_statistics": True,
    }
    part = fitted(
        "decoder",
        "decoder",
        spec,
        estimator,
        modules(len(options["dim_mults"]), speakers),
        at,
    )
    return Imported(
        [part],
        sde={
            "name": "vp_mean",
            "beta_min": float(options["beta_min"]),
            "beta_max": float(options["beta_max"]),
        },
        stft=asdict(MelSpec(n_mels=options["n_feats"])),  # its settings for LJSpeech
        objective={"name": "score"},
        left_out=["encoder.", "spk_emb."] if whole else [],
    )


def modules(levels: int, speakers: bool) -> Iterator[Renamed]:
    """Module names there and here. Input channels are [mu, x, speaker] there, [x, mu, speaker] here."""
    if speakers:
        yield Renamed("spk_mlp", "vector_map")
    yield Renamed("mlp.0", "time.1")
    yield Renamed("mlp.2", "time.3")
    for i in range(levels):
        yield from _stage([f"downs.{i}.{j}" for j in range(3)], f"down.{i}", i == 0)
        if i < levels - 1:
            yield Renamed(f"downs.{i}.3.conv", f"shrink.{i}")
    yield from _stage(["mid_block1", "mid_attn"], "middle.0")
    yield from _stage(["mid_block2"], "middle.1")
    for i in range(levels - 1):
        yield from _stage([f"ups.{i}.{j}" for j in range(3)], f"up.{i}")
        yield Renamed(f"ups.{i}.3.conv", f"grow.{i}")
    yield Renamed("final_block.block.0", "last.conv")
    yield Renamed("final_block.block.1", "last.norm")
    yield Renamed("final_conv", "out")


def _stage(old: list[str], new: str, first: bool = False) -> Iterator[Renamed]:
    blocks = [name for name in old if "attn" not in name and not name.endswith(".2")]
    for i, block in enumerate(blocks):
        swap = permuted([1, 0, 2]) if first and i == 0 else None
        to = f"{new}.blocks.{i}"
        yield Renamed(f"{block}.mlp.1", f"{to}.time")
        yield Renamed(f"{block}.block1.block.0", f"{to}.first.conv", swap)
        yield Renamed(f"{block}.block1.block.1", f"{to}.first.norm")
        yield Renamed(f"{block}.block2.block.0", f"{to}.second.conv")
        yield Renamed(f"{block}.block2.block.1", f"{to}.second.norm")
        yield Renamed(f"{block}.res_conv", f"{to}.skip", swap, optional=True)
    for attention in old[len(blocks) :]:
        yield Renamed(f"{attention}.fn.g", f"{new}.attention.gate")
        yield Renamed(f"{attention}.fn.fn.to_qkv", f"{new}.attention.qkv")
        yield Renamed(f"{attention}.fn.fn.to_out", f"{new}.attention.out")
