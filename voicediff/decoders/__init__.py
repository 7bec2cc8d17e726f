"""Decoders: the denoising (score) networks."""

from voicediff.decoders.base import Decoder, Prepared
from voicediff.decoders.dit import DiT
from voicediff.decoders.lynxnet import LYNXNet
from voicediff.decoders.lynxnet2 import LYNXNet2
from voicediff.decoders.ncsnpp import NCSNppDecoder
from voicediff.decoders.patch_mask import PatchMaskDecoder
from voicediff.decoders.patch_unet import PatchUNetDecoder
from voicediff.decoders.unet import UNet
from voicediff.decoders.wavenet import WaveNet

__all__ = [
    "Decoder",
    "DiT",
    "LYNXNet",
    "LYNXNet2",
    "NCSNppDecoder",
    "PatchMaskDecoder",
    "PatchUNetDecoder",
    "Prepared",
    "UNet",
    "WaveNet",
]
