"""Spoken Hangul of written Hangul by the articles of the Standard Pronunciation (표준 발음법, 1988)."""

from voicediff.text.korean.rules import VERSION, speak

__all__ = ["VERSION", "speak"]
