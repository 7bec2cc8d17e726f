"""The flat module list of NCSN++ (score_sde and derived code) under the names used here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from voicediff.importing.base import Options, Renamed, Weights, permuted

DEFAULTS: dict[str, Any] = {
    "scale_by_sigma": True,
    "nonlinearity": "swish",
    "nf": 128,
    "ch_mult": (1, 1, 2, 2, 2, 2, 2),
    "num_res_blocks": 2,
    "attn_resolutions": (16,),
    "resamp_with_conv": True,
    "conditional": True,
    "fir": True,
    "fir_kernel": [1, 3, 3, 1],
    "skip_rescale": True,
    "resblock_type": "biggan",
    "progressive": "output_skip",
    "progressive_input": "input_skip",
    "progressive_combine": "sum",
    "init_scale": 0.0,
    "fourier_scale": 16,
    "image_size": 256,
    "embedding_type": "fourier",
    "dropout": 0.0,
    "centered": True,
}
#: what StoRM's class has besides, with its own defaults
STORM: dict[str, Any] = {
    **DEFAULTS,
    "ch_mult": (1, 2, 2, 2),
    "num_res_blocks": 1,
    "attn_resolutions": (0,),
    "input_channels": 4,
    "spatial_channels": 1,
    "centered": False,
    "discriminative": False,
}
#: and AVDiffuSS' class with cross-attention
CROSSING: dict[str, Any] = {
    **STORM,
    "cross_attn_resolutions": (128, 64, 32),
    "num_heads": 4,
    "dim_head": 16,
    "transformer_depth": 1,
    "context_dim": 64,
}


def spec(options: Options, bins: int | None = None) -> dict[str, Any]:
    """The options that decoder and predictor `ncsnpp` share. ConfigError for other variants."""
    options.only("nonlinearity", "swish")
    options.only("fir", True)
    options.only("skip_rescale", True)
    options.only("resblock_type", "biggan")
    options.only("progressive_combine", "sum")
    options.only("embedding_type", "fourier")
    options.only("progressive", "output_skip", "none")
    options.only(
        "progressive_input", {"output_skip": "input_skip"}.get(options["progressive"], "none")
    )
    shared = {
        "name": "ncsnpp",
        "channels_in": 2,
        "bins": bins or options["image_size"],
        "channels": options["nf"],
        "multipliers": tuple(options["ch_mult"]),
        "blocks": options["num_res_blocks"],
        "attention": tuple(n for n in options["attn_resolutions"] if n),
        "pyramid": options["progressive"] == "output_skip",
        "centred": options["centered"],
        "dropout": float(options["dropout"]),
        "padded_statistics": True,
    }
    if "cross_attn_resolutions" in options.values:
        shared |= {
            "attention": (),
            "cross_attention": tuple(options["cross_attn_resolutions"]),
            "heads": options["num_heads"],
            "head_size": options["dim_head"],
            "depth": options["transformer_depth"],
            "positions": False,
            "conditions": {"lips": ("tokens", options["context_dim"])},
        }
    return shared


def conditional_spec(options: Options) -> dict[str, Any]:
    """The options of the decoder only."""
    return {
        "fourier_scale": float(options["fourier_scale"]),
        "divide": "before" if options["scale_by_sigma"] else "no",
    }


def modules(
    shared: dict[str, Any], conditional: bool, order: list[int] | None = None
) -> Iterator[Renamed]:
    """Module names there, `all_modules.0` to the last in the order of execution, and here.

    order: the input channels here as indices of those there, where they differ.
    """
    counter = _ModuleCounter(conditional)
    if conditional:
        yield Renamed("all_modules.0.W", "time.0.weight")
        yield Renamed("all_modules.1", "time.1")
        yield Renamed("all_modules.2", "time.3")
        counter.index = 3
    else:
        counter.index = 1  # unused Fourier features
    swap = permuted(order) if order else None
    yield counter.plain("input", swap)
    levels = len(shared["multipliers"])
    bins = [shared["bins"] >> level for level in range(levels)]
    for level in range(levels):
        for step in range(shared["blocks"]):
            at = f"down.{level}.steps.{step}"
            yield from counter.block(f"{at}.block")
            yield from counter.attention(f"{at}.attention", bins[level], shared)
        if level < levels - 1:
            yield from counter.block(f"down.{level}.shrink")
            if shared["pyramid"]:
                yield counter.plain(f"down.{level}.combine", swap, ".Conv_0")
    yield from counter.block("middle.0.block")
    yield from counter.space_attention("middle.0.attention")
    yield from counter.block("middle.1.block")
    for i, level in enumerate(reversed(range(levels))):
        for step in range(shared["blocks"] + 1):
            yield from counter.block(f"up.{i}.blocks.{step}")
        yield from counter.attention(f"up.{i}.attention", bins[level], shared)
        if shared["pyramid"]:
            yield counter.plain(f"up.{i}.out.norm")
            yield counter.plain(f"up.{i}.out.conv")
        if level:
            yield from counter.block(f"up.{i}.grow")
    if not shared["pyramid"]:
        yield counter.plain("out.norm")
        yield counter.plain("out.conv")
    yield Renamed("output_layer", "out")


def without_unused(weights: Weights) -> Weights:
    """The weights of a network without time conditioning, without its unused time layers."""
    return {n: t for n, t in weights.items() if ".Dense_0." not in n and n != "all_modules.0.W"}


class _ModuleCounter:
    """Names of the modules, with a counter of the index in the flat list."""

    def __init__(self, conditional: bool):
        self.index, self.conditional = 0, conditional

    def plain(self, new: str, change=None, inside: str = "") -> Renamed:
        self.index += 1
        return Renamed(f"all_modules.{self.index - 1}{inside}", f"network.body.{new}", change)

    def many(self, new: str, names: dict[str, str]) -> Iterator[Renamed]:
        old = f"all_modules.{self.index}"
        self.index += 1
        for old_part, new_part in names.items():
            optional = old_part == "Conv_2"  # only where the width or the rate changes
            yield Renamed(f"{old}.{old_part}", f"network.body.{new}.{new_part}", optional=optional)

    def block(self, new: str) -> Iterator[Renamed]:
        names = {"GroupNorm_0": "norm1", "Conv_0": "conv1", "GroupNorm_1": "norm2"}
        names |= {"Conv_1": "conv2", "Conv_2": "skip"}
        return self.many(new, names | ({"Dense_0": "time"} if self.conditional else {}))

    def attention(self, new: str, bins: int, shared: dict[str, Any]) -> Iterator[Renamed]:
        if bins in shared.get("cross_attention", ()):
            return self.frame_transformer(new, shared["depth"])
        return self.space_attention(new) if bins in shared["attention"] else iter(())

    def space_attention(self, new: str) -> Iterator[Renamed]:
        old, to = f"all_modules.{self.index}", f"network.body.{new}"
        self.index += 1
        yield Renamed(f"{old}.GroupNorm_0", f"{to}.norm")
        for i, name in enumerate(("q", "k", "v", "out")):
            yield Renamed(f"{old}.NIN_{i}.W", f"{to}.{name}.weight", _pointwise)
            yield Renamed(f"{old}.NIN_{i}.b", f"{to}.{name}.bias")

    def frame_transformer(self, new: str, depth: int) -> Iterator[Renamed]:
        names = {"norm": "norm", "proj1": "enter", "proj2": "leave"}
        for i in range(depth):
            old = f"transformer_blocks.{i}"
            for old_part, new_part in (("attn1", "self_attention"), ("attn2", "cross_attention")):
                for layer in "qkv":
                    names[f"{old}.{old_part}.to_{layer}"] = f"blocks.{i}.{new_part}.{layer}"
                names[f"{old}.{old_part}.to_out.0"] = f"blocks.{i}.{new_part}.out"
            names[f"{old}.ff.net.0.proj"] = f"blocks.{i}.gate"
            names[f"{old}.ff.net.2"] = f"blocks.{i}.out"
            names |= {f"{old}.norm{n}": f"blocks.{i}.norm{n}" for n in (1, 2, 3)}
        return self.many(new, names)


def _pointwise(name: str, weight: Tensor) -> Tensor:
    """A matrix (in, out) as the weight of a 1 x 1 convolution."""
    return weight.T[..., None, None].contiguous()
