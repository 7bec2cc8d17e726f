"""Measurement of a trained model with several samplers, for the report."""

from voicediff.evaluation.base import Measurement
from voicediff.evaluation.separation import SeparationMeasurement
from voicediff.evaluation.singing import SingingMeasurement

__all__ = ["Measurement", "SeparationMeasurement", "SingingMeasurement"]
