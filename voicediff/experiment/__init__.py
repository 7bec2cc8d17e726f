"""Experiment folders: configuration, weights and everything else that inference needs."""

from voicediff.experiment.config import Config, differences, read_config, write_config
from voicediff.experiment.folder import RECOMMENDED, Experiment, create, load, pack
from voicediff.experiment.versions import versions
from voicediff.experiment.weights import (
    fingerprints,
    fit_weights,
    load_matching,
    mismatches,
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
    "load_matching",
    "mismatches",
    "pack",
    "read_config",
    "read_weights",
    "versions",
    "weights_hash",
    "weights_path",
    "write_config",
    "write_weights",
]
