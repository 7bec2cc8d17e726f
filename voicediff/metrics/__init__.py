"""The rulers: of singing, how near, lively, real and in tune; of separation, how clean and whose."""

from voicediff.metrics.base import Item, Metric, Pair
from voicediff.metrics.cepstrum import MelCepstralDistortion, WarpedMelCepstralDistortion
from voicediff.metrics.contrast import HarmonicContrast
from voicediff.metrics.distortion import (
    FilteredSDR,
    ScaleInvariantSDR,
    Selection,
    SignalToNoise,
    sdr,
    si_sdr,
    snr,
)
from voicediff.metrics.frechet import PatchFrechet
from voicediff.metrics.hearing import ExtendedIntelligibility, PerceptualQuality
from voicediff.metrics.jitter import F0Jitter
from voicediff.metrics.onset import OnsetError
from voicediff.metrics.pitch import (
    F0Correlation,
    LogF0Error,
    SemitoneAccuracy,
    SungF0,
    VoicingError,
)
from voicediff.metrics.row import score_row, score_utterances, singing_metrics
from voicediff.metrics.sound import MultiStft, PeriodicityError
from voicediff.metrics.spectrum import LogMelError, ModulationRatio, VarianceRatio
from voicediff.metrics.tune import NoteError, WithinCents
from voicediff.metrics.voices import (
    Voice,
    VoiceMetric,
    improved,
    mean_by_group,
    score_voice,
    separation_metrics,
)

__all__ = [
    "ExtendedIntelligibility",
    "F0Correlation",
    "F0Jitter",
    "FilteredSDR",
    "HarmonicContrast",
    "Item",
    "LogF0Error",
    "LogMelError",
    "MelCepstralDistortion",
    "Metric",
    "ModulationRatio",
    "MultiStft",
    "NoteError",
    "OnsetError",
    "Pair",
    "PatchFrechet",
    "PerceptualQuality",
    "PeriodicityError",
    "ScaleInvariantSDR",
    "Selection",
    "SemitoneAccuracy",
    "SignalToNoise",
    "SungF0",
    "VarianceRatio",
    "Voice",
    "VoiceMetric",
    "VoicingError",
    "WarpedMelCepstralDistortion",
    "WithinCents",
    "improved",
    "mean_by_group",
    "score_row",
    "score_utterances",
    "score_voice",
    "sdr",
    "separation_metrics",
    "si_sdr",
    "singing_metrics",
    "snr",
]
