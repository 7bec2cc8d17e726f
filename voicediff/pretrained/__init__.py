"""Models that are part of the package, for use right after installation; see their model cards."""

from pathlib import Path

SINGER = Path(__file__).parent / "singer"  # a synthetic Korean singer, see MODEL_CARD.md there
