"""Measure a trained model with one sampler after the other; the report compares them."""

from voicediff.evaluation.base import Measurement
from voicediff.evaluation.separation import SeparationMeasurement
from voicediff.evaluation.singing import SingingMeasurement

__all__ = ["Measurement", "SeparationMeasurement", "SingingMeasurement"]
