"""Tokenizers: phones, Hangul letters (jamo), and SentencePiece units."""

from __future__ import annotations

from pathlib import Path

from voicediff.registry import build, get
from voicediff.text.tokenizers.base import PAD, SILENCE, Part, Tokenizer, read_stored
from voicediff.text.tokenizers.jamo import JamoTokenizer
from voicediff.text.tokenizers.phone import PhoneTokenizer
from voicediff.text.tokenizers.sentencepiece import SentencePieceTokenizer

__all__ = [
    "PAD",
    "SILENCE",
    "JamoTokenizer",
    "Part",
    "PhoneTokenizer",
    "SentencePieceTokenizer",
    "Tokenizer",
    "load_tokenizer",
]


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load a saved tokenizer. Raises DataError, or ConfigError for an unknown kind."""
    path = Path(folder) / "tokenizer.json"
    stored = read_stored(path)
    entry = get("tokenizer", stored["name"], at=str(path))
    options = {"pronounced": bool(stored["g2p"])} if "pronounced" in entry.options else {}
    tokenizer = build("tokenizer", {"name": stored["name"], **options}, at=str(path))
    tokenizer.load(folder)
    return tokenizer
