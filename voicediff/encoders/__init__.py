"""Encoders: from tokens, pitches or video to states (B, L, D) that condition the model."""

from voicediff.encoders.base import Encoder
from voicediff.encoders.conv import ConvEncoder
from voicediff.encoders.embedding import EmbeddingEncoder
from voicediff.encoders.face import FaceResNet18
from voicediff.encoders.lips import LipStacks
from voicediff.encoders.lips3d import Lips3D
from voicediff.encoders.talknet import TalkNet
from voicediff.encoders.transformer import TransformerEncoder

__all__ = [
    "ConvEncoder",
    "EmbeddingEncoder",
    "Encoder",
    "FaceResNet18",
    "LipStacks",
    "Lips3D",
    "TalkNet",
    "TransformerEncoder",
]
