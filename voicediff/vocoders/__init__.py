"""Vocoders, from log-mel (and F0) to waveform, and discriminators for their training."""

from voicediff.vocoders.base import Vocoder
from voicediff.vocoders.discriminators import Discriminator, MultiPeriod, MultiResolution
from voicediff.vocoders.griffin_lim import GriffinLim
from voicediff.vocoders.harmonic import Harmonic
from voicediff.vocoders.hifigan import HiFiGAN
from voicediff.vocoders.published import BigVGAN, PublishedVocos
from voicediff.vocoders.vocos import SourceVocos, Vocos

__all__ = [
    "BigVGAN",
    "Discriminator",
    "GriffinLim",
    "Harmonic",
    "HiFiGAN",
    "MultiPeriod",
    "MultiResolution",
    "PublishedVocos",
    "SourceVocos",
    "Vocoder",
    "Vocos",
]
