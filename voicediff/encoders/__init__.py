"""Encoders: what turns tokens, pitches or video into states (B, L, D) that condition the model."""

from voicediff.encoders.base import Encoder
from voicediff.encoders.conv import ConvEncoder
from voicediff.encoders.embedding import EmbeddingEncoder
from voicediff.encoders.lips import LipStacks
from voicediff.encoders.talknet import TalkNet
from voicediff.encoders.transformer import TransformerEncoder

__all__ = [
    "ConvEncoder",
    "EmbeddingEncoder",
    "Encoder",
    "LipStacks",
    "TalkNet",
    "TransformerEncoder",
]
