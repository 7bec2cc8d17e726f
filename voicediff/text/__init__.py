"""Lyrics: Hangul decomposition, pronunciation, phones and token lists."""

from voicediff.text.tokenizers import Tokenizer, load_tokenizer

__all__ = ["Tokenizer", "load_tokenizer"]
