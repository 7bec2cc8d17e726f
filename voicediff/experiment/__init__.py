"""Experiment folders: configuration, weights, and all else that inference needs of a training."""

from voicediff.experiment.config import Config, differences, read_config, write_config
from voicediff.experiment.folder import RECOMMENDED, Experiment, create, load, pack
from voicediff.experiment.versions import versions
from voicediff.experiment.weights import (
    fingerprints,
    fit_weights,
    load_same,
    misfits,
    read_weights,
    weights_hash,
    weights_path,
    write_weights,
)

__all__ = [
    "RECOMMENDED",
    "Config",
    "Experiment",
    "create",
    "differences",
    "fingerprints",
    "fit_weights",
    "load",
    "load_same",
    "misfits",
    "pack",
    "read_config",
    "read_weights",
    "versions",
    "weights_hash",
    "weights_path",
    "write_config",
    "write_weights",
]
