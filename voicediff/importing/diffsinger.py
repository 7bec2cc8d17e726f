"""The acoustic backbones of openvpi's DiffSinger: WaveNet, LYNXNet, LYNXNet2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from voicediff.importing.base import Imported, Options, Renamed, Weights, fitted, under

_COMMON: dict[str, Any] = {
    "backbone_type": None,
    "backbone_args": {},
    "in_dims": 128,
    "n_feats": 1,
    "hidden_size": 256,
    "diffusion_type": None,
    "timesteps": 1000,
    "max_beta": 0.02,
    "schedule_type": "linear",
}
_BACKBONES: dict[str, dict[str, Any]] = {
    "wavenet": {"num_layers": 20, "num_channels": 256, "dilation_cycle_length": 4},
    "lynxnet": {
        "num_layers": 6,
        "num_channels": 512,
        "expansion_factor": 2,
        "kernel_size": 31,
        "activation": "PReLU",
        "dropout_rate": 0.0,
        "strong_cond": False,
    },
    "lynxnet2": {
        "num_layers": 6,
        "num_channels": 512,
        "expansion_factor": 1,
        "kernel_size": 31,
        "dropout_rate": 0.0,
        "use_conditioner_cache": False,
        "glu_type": "swiglu",
    },
}
KNOWN: dict[str, Any] = {**_COMMON, **{n: None for b in _BACKBONES.values() for n in b}}
#: names of the options here, where they differ
_NAMES = {
    "num_layers": "layers",
    "num_channels": "channels",
    "dilation_cycle_length": "dilation_cycle",
    "expansion_factor": "expansion",
    "kernel_size": "kernel",
    "dropout_rate": "dropout",
    "strong_cond": "strong_condition",
    "glu_type": "gate",
}


def convert(weights: Weights, given: dict[str, Any], at: str) -> Imported:
    """A whole acoustic model (`diffusion.denoise_fn.*` or `.velocity_fn.*`) or a bare backbone."""
    network, kind = _network(weights)
    name = given.get("backbone_type") or _recognised(network)
    given = {**given.get("backbone_args", {}), **given}
    options = Options("diffsinger", {**_COMMON, **_BACKBONES.get(name, {})}, given)
    options.values["backbone_type"] = name
    options.only("backbone_type", *_BACKBONES)
    kind = kind or {"ddpm": "denoise_fn", "reflow": "velocity_fn"}.get(options["diffusion_type"])
    spec = {
        "name": name,
        "channels_in": options["n_feats"],
        "bins": options["in_dims"],
        "conditions": {"encoder": ("frames", options["hidden_size"])},
        "use_mu": False,
    }
    for old in _BACKBONES[name]:
        if old != "use_conditioner_cache":
            spec[_NAMES.get(old, old)] = options[old]
    if name == "lynxnet2":
        spec["expansion"] = float(spec["expansion"])
    if kind == "velocity_fn":  # their t and velocity run from noise to data
        spec |= {"reversed_time": True, "output_scale": -1.0}
    if kind == "denoise_fn":  # their step n, from 0, is t = (n + 1) / steps here
        spec |= {"time_scale": float(options["timesteps"]), "time_shift": -1.0}
    modules = {"wavenet": _wavenet, "lynxnet": _lynxnet, "lynxnet2": _lynxnet2}[name]
    part = fitted("decoder", "decoder", spec, network, modules(spec["layers"]), at)
    sde, objective = _process(kind, options)
    whole = len(network) < len(weights)
    left = sorted({n.split(".")[0] + "." for n in weights} - {"diffusion."}) if whole else []
    return Imported([part], sde, None, objective, left)


def _network(weights: Weights) -> tuple[Weights, str | None]:
    for kind in ("denoise_fn", "velocity_fn"):
        for prefix in (f"model.diffusion.{kind}.", f"diffusion.{kind}.", f"{kind}."):
            found = under(weights, prefix)
            if found:
                return found, kind
    return weights, None


def _recognised(network: Weights) -> str:
    """Name of the backbone, identified by its keys."""
    if any("dilated_conv" in name for name in network):
        return "wavenet"
    return "lynxnet" if any("convmodule" in name for name in network) else "lynxnet2"


def _process(kind: str | None, options: Options) -> tuple[dict | None, dict | None]:
    if kind == "velocity_fn":
        flow = {"name": "flow", "from_mu": False, "sigma_min": 0.0, "t_max": 1.0}
        return flow, {"name": "velocity"}
    if kind == "denoise_fn":
        ddpm = {
            "name": "ddpm",
            "steps": options["timesteps"],
            "schedule": options["schedule_type"],
            "beta_max": options["max_beta"],
        }
        return ddpm, {"name": "noise"}
    return None, None


def _linear(name: str, tensor: Tensor) -> Tensor:
    """The weight of a pointwise convolution as a matrix."""
    return tensor.squeeze(-1) if name == "weight" and tensor.dim() == 3 else tensor


def _ends() -> Iterator[Renamed]:
    yield Renamed("input_projection", "enter", _linear)
    yield Renamed("output_projection", "leave", _linear)


def _wavenet(layers: int) -> Iterator[Renamed]:
    yield from _ends()
    yield Renamed("mlp.0", "time.1")
    yield Renamed("mlp.2", "time.3")
    yield Renamed("skip_projection", "skip", _linear)
    for i in range(layers):
        old, new = f"residual_layers.{i}", f"blocks.{i}"
        yield Renamed(f"{old}.dilated_conv", f"{new}.conv")
        yield Renamed(f"{old}.diffusion_projection", f"{new}.time")
        yield Renamed(f"{old}.conditioner_projection", f"{new}.frames", _linear)
        yield Renamed(f"{old}.output_projection", f"{new}.out", _linear)


def _lynxnet(layers: int) -> Iterator[Renamed]:
    yield from _ends()
    yield Renamed("diffusion_embedding.1", "time.1")
    yield Renamed("diffusion_embedding.3", "time.3")
    yield Renamed("norm", "norm")
    for i in range(layers):
        old, new = f"residual_layers.{i}", f"blocks.{i}"
        yield Renamed(f"{old}.diffusion_projection", f"{new}.time", _linear)
        yield Renamed(f"{old}.conditioner_projection", f"{new}.frames", _linear)
        net = f"{old}.convmodule.net"
        yield Renamed(f"{net}.0", f"{new}.norm")
        yield Renamed(f"{net}.2", f"{new}.gate", _linear)
        yield Renamed(f"{net}.4", f"{new}.conv")
        yield Renamed(f"{net}.5", f"{new}.activation", optional=True)
        yield Renamed(f"{net}.6", f"{new}.out", _linear)


def _lynxnet2(layers: int) -> Iterator[Renamed]:
    yield from _ends()
    yield Renamed("conditioner_projection", "frames", _linear)
    yield Renamed("diffusion_embedding.1", "time.1")
    yield Renamed("diffusion_embedding.3", "time.3")
    yield Renamed("norm", "norm")
    for i in range(layers):
        old, new = f"residual_layers.{i}.net", f"blocks.{i}"
        for index, name in enumerate(("norm", "", "conv", "", "gate1", "", "gate2", "", "out")):
            if name:
                yield Renamed(f"{old}.{index}", f"{new}.{name}")
