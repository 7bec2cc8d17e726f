"""StoRM (Lemercier et al. 2023) and AVDiffuSS (Lee et al. 2024): a predictor and a score network."""

from __future__ import annotations

from typing import Any

from voicediff.errors import ConfigError
from voicediff.importing import ncsnpp, sgmse
from voicediff.importing.base import Imported, Options, Part, Weights, fitted, under

BACKBONES: dict[str, dict[str, Any]] = {
    "ncsnpp": {},
    "ncsnpplarge": {
        "ch_mult": (1, 1, 2, 2, 2, 2, 2),
        "num_res_blocks": 2,
        "attn_resolutions": (16,),
    },
    "ncsnpp12M": {"nf": 96, "ch_mult": (1, 2, 2, 1)},
    "ncsnpp6M": {"nf": 96, "ch_mult": (1, 1, 1, 1)},
    "ncsnpp_crossatt": {},
}
MODEL: dict[str, Any] = {
    **sgmse.MODEL,
    "backbone_denoiser": "ncsnpp",
    "backbone_score": "ncsnpp",
    "condition": None,
    "mode": "regen-joint-training",
    "loss_type_denoiser": "mse",
    "loss_type_score": "mse",
}


def convert(weights: Weights, given: dict[str, Any], at: str, crossing: bool = False) -> Imported:
    """A Lightning model (`denoiser_net.*`, `score_net.*`, or `dnn.*`) or a network alone.

    A network alone is a predictor with `discriminative: true`, else a decoder. crossing: AVDiffuSS.
    """
    source = "avdiffuss" if crossing else "storm"
    usual = "ncsnpp_crossatt" if crossing else "ncsnpp"
    own = {"backbone_denoiser": usual, "backbone_score": usual, "backbone": usual}
    own["condition"] = "post_denoiser" if crossing else "both"
    defaults = {**(ncsnpp.CROSSING if crossing else ncsnpp.STORM), **MODEL, **own}
    parts: list[Part] = []
    common = Options(source, defaults, given)
    nets = {name: under(weights, f"{name}_net.") for name in ("denoiser", "score")}
    if not any(nets.values()):
        bare = under(weights, "dnn.") or weights
        name = "denoiser" if common["discriminative"] else "score"
        own = {f"backbone_{name}": common["backbone"]}
        options = _options(source, defaults, {**given, **own}, name, _planes(bare))
        parts += _network(name, options, bare, at, whole=bare is not weights)
    else:
        for name, network in nets.items():
            if network:
                options = _options(source, defaults, given, name, _planes(network))
                parts += _network(name, options, network, at, whole=True)
    parts.sort(
        key=lambda part: part.kind == "encoder"
    )  # the networks first, then their video encoders
    decoders = [part for part in parts if part.kind == "decoder"]
    whole = any("output_scale" in part.spec for part in decoders)
    return Imported(
        parts,
        sgmse.process(common) if decoders else None,
        sgmse.features(common),
        {"name": "score"} if whole else None,
    )


def _options(
    source: str, defaults: dict[str, Any], given: dict[str, Any], name: str, planes: int | None
) -> Options:
    backbone = given.get(f"backbone_{name}", defaults[f"backbone_{name}"])
    if backbone not in BACKBONES:
        raise ConfigError(
            f"import {source}: no backbone {backbone!r}; choices: {', '.join(BACKBONES)}"
        )
    own = {**defaults, **BACKBONES[backbone]}
    if "n_fft" in given:
        own["image_size"] = given["n_fft"] // 2 + 1
    if planes is not None:
        given = {**given, "input_channels": planes}
    return Options(source, own, given)


def _planes(network: Weights) -> int | None:
    """Number of input channels, which the whole model sets itself."""
    layer = network.get("output_layer.weight")
    return None if layer is None else layer.shape[1]


def _network(name: str, options: Options, network: Weights, at: str, whole: bool) -> list[Part]:
    options.only("spatial_channels", 1)
    video = under(network, "visual_encoder.")
    network = {n: t for n, t in network.items() if not n.startswith("visual_encoder.")}
    shared = ncsnpp.spec(options)
    if name == "denoiser":
        modules = ncsnpp.modules(shared, conditional=False)
        network = ncsnpp.without_unused(network)
        parts = [fitted("predictor", "predictor", shared, network, modules, at)]
    else:
        shared |= ncsnpp.conditional_spec(options)
        order = _input_order(shared, options)
        if whole:
            shared["output_scale"] = -2.0
        modules = ncsnpp.modules(shared, conditional=True, order=order)
        parts = [fitted("decoder", "decoder", shared, network, modules, at)]
    if video:
        from voicediff.importing import lips

        role = f"{parts[0].role}.lips"
        parts.append(lips.part(role, video, at))
    return parts


def _input_order(shared: dict[str, Any], options: Options) -> list[int] | None:
    """Order of the input planes: [x, D(y)], [x, y] or [x, y, D(y)], where mu is D(y)."""
    options.only("input_channels", 4, 6)
    mixture = {"mixture": ("maps", 2)}
    if options["input_channels"] == 6:  # here [x, mu, mixture]
        shared["conditions"] = mixture | shared.get("conditions", {})
        return [0, 1, 4, 5, 2, 3]
    if options["condition"] == "noisy":
        shared["conditions"] = mixture | shared.get("conditions", {})
        shared["use_mu"] = False
    return None
