"""Measure a trained model with one sampler after the other; the report compares them."""

from voicediff.measuring.base import Measurement
from voicediff.measuring.separation import SeparationMeasurement
from voicediff.measuring.singing import SingingMeasurement

__all__ = ["Measurement", "SeparationMeasurement", "SingingMeasurement"]
