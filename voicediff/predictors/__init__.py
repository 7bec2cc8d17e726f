"""Predictors: the first estimate of the spectrum, in one evaluation."""

from voicediff.predictors.base import Predictor
from voicediff.predictors.ncsnpp import NCSNppPredictor
from voicediff.predictors.patch_unet import PatchUNetPredictor
from voicediff.predictors.tfgrid import TFGridPredictor

__all__ = ["NCSNppPredictor", "PatchUNetPredictor", "Predictor", "TFGridPredictor"]
