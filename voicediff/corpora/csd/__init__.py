"""The mini corpus of singing: tunes, generated lyrics, and a rule-based singing synthesiser."""

from voicediff.corpora.csd.corpus import make_corpus

__all__ = ["make_corpus"]
