"""SGMSE+ (Richter et al. 2023, 2024): NCSN++, its second version, and the 48 kHz one."""

from __future__ import annotations

import math
from typing import Any

from voicediff.errors import ConfigError
from voicediff.importing import ncsnpp
from voicediff.importing.base import Imported, Options, Weights, fitted, under

#: options of the three classes that differ from `ncsnpp.DEFAULTS`
VARIANTS: dict[str, dict[str, Any]] = {
    "ncsnpp": {},
    "ncsnpp_v2": {"scale_by_sigma": False},
    "ncsnpp_48k": {
        "attn_resolutions": (),
        "progressive": "none",
        "progressive_input": "none",
    },
}
#: arguments of the whole model, of its process and of its features
MODEL: dict[str, Any] = {
    "backbone": "ncsnpp",
    "sde": "ouve",
    "theta": 1.5,
    "sigma_min": 0.05,
    "sigma_max": 0.5,
    "N": 30,
    "k": 2.6,
    "c": 0.4,
    "t_eps": 0.03,
    "n_fft": 510,
    "hop_length": 128,
    "window": "hann",
    "spec_factor": 0.15,
    "spec_abs_exponent": 0.5,
    "transform_type": "exponent",
    "sr": 16000,
    "loss_type": "score_matching",
    "network_scaling": None,
    "c_in": "1",
    "c_out": "1",
    "c_skip": "0",
    "sigma_data": 0.1,
}


def convert(weights: Weights, given: dict[str, Any], at: str, backbone: str = "") -> Imported:
    """A Lightning model (`dnn.*`) or a network alone."""
    backbone = backbone or given.get("backbone", "ncsnpp")
    if backbone not in VARIANTS:
        raise ConfigError(f"import sgmse: no backbone {backbone!r}; choices: {', '.join(VARIANTS)}")
    defaults = {**ncsnpp.DEFAULTS, **MODEL, **VARIANTS[backbone]}
    if "n_fft" in given:
        defaults["image_size"] = given["n_fft"] // 2 + 1
    options = Options("sgmse", defaults, given)
    network = under(weights, "dnn.")
    shared = ncsnpp.spec(options) | ncsnpp.conditional_spec(options)
    if backbone == "ncsnpp_48k" and shared["divide"] == "before":
        shared["divide"] = "after"
    if backbone == "ncsnpp_v2":
        shared["divide"] = "no"
    objective = None
    if network:  # for a network alone the meaning of its output is unknown
        objective, shared["output_scale"] = output_meaning(options, backbone)
    modules = ncsnpp.modules(shared, conditional=True)
    part = fitted("decoder", "decoder", shared, network or weights, modules, at)
    return Imported([part], process(options), features(options), objective)


def output_meaning(options: Options, backbone: str) -> tuple[dict[str, Any], float]:
    """The objective, and the factor of the network's output.

    Their noise is complex normal with variance 1/2 per part; here it has variance 1 per channel. So
    sigma = sigma_c / sqrt 2, score = 2 score_c and noise = -sqrt 2 sigma_c score_c.
    """
    if backbone != "ncsnpp_v2":
        return {"name": "score"}, -2.0
    options.only("c_in", "1")
    options.only("c_skip", "0")
    if options["loss_type"] == "data_prediction":
        options.only("c_out", "1")
        options.only("network_scaling", None)
        return {"name": "data", "residual": False}, 1.0
    options.only("loss_type", "score_matching")
    by_sigma = (options["network_scaling"], options["c_out"])
    if by_sigma in {("1/sigma", "1"), (None, "1/sigma")}:
        return {"name": "noise"}, -math.sqrt(2)
    options.only("network_scaling", None)
    options.only("c_out", "1")
    return {"name": "score"}, 2.0


def process(options: Options) -> dict[str, Any]:
    """The SDE for two real channels of unit noise."""
    options.only("sde", "ouve", "sbve")
    if options["sde"] == "sbve":
        return {"name": "bridge", "k": options["k"], "c": options["c"] / 2}
    return {
        "name": "ouve",
        "theta": options["theta"],
        "sigma_min": options["sigma_min"] / math.sqrt(2),
        "sigma_max": options["sigma_max"] / math.sqrt(2),
        "t_min": options["t_eps"],
    }


def features(options: Options) -> dict[str, Any]:
    """The compressed spectrum: magnitude to a power, times a factor, periodic Hann window."""
    options.only("window", "hann")
    options.only("transform_type", "exponent")
    return {
        "n_fft": options["n_fft"],
        "hop": options["hop_length"],
        "exponent": options["spec_abs_exponent"],
        "factor": options["spec_factor"],
    }
