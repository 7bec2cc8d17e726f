"""The video encoder of AVDiffuSS' networks, as a separate encoder."""

from __future__ import annotations

from collections.abc import Iterator

from voicediff.importing.base import Part, Renamed, Weights, fitted


def part(role: str, weights: Weights, at: str) -> Part:
    """`visual_encoder.*` as encoder `talknet`; its unused projection is dropped."""
    weights = {n: t for n, t in weights.items() if not n.startswith("resnet.layer1.downsample")}
    first = weights.get("frontend3D.0.weight")
    spec = {"name": "talknet", "dim": 64 if first is None else first.shape[0]}
    return fitted(role, "encoder", spec, weights, _modules(), at)


def _modules(blocks: int = 5) -> Iterator[Renamed]:
    yield Renamed("frontend3D.0", "enter")
    yield Renamed("frontend3D.1", "norm")
    for i in range(4):
        old, new = f"resnet.layer{i + 1}", f"residual.{i}"
        names = {"conv1a": "conv1", "conv2a": "conv2", "conv1b": "conv3", "conv2b": "conv4"}
        names |= {"bn1a": "norm1", "outbna": "norm2", "bn1b": "norm3", "outbnb": "norm4"}
        for old_part, new_part in names.items():
            yield Renamed(f"{old}.{old_part}", f"{new}.{new_part}")
        yield Renamed(f"{old}.downsample", f"{new}.skip", optional=i == 0)
    for i in range(blocks):
        old, new = f"visualTCN.net.{i}.net", f"temporal.{i}"
        yield Renamed(f"{old}.1", f"{new}.norm")
        yield Renamed(f"{old}.2", f"{new}.depthwise")
        yield Renamed(f"{old}.3", f"{new}.slope")
        yield Renamed(f"{old}.4.gamma", f"{new}.scale")
        yield Renamed(f"{old}.4.beta", f"{new}.shift")
        yield Renamed(f"{old}.5", f"{new}.pointwise")
    yield Renamed("visualConv1D.net.0", "leave")
    yield Renamed("visualConv1D.net.1", "leave_norm")
