"""Models that come with the package, so that it sings right after installation; see their cards."""

from pathlib import Path

SINGER = Path(__file__).parent / "singer"  # a synthetic Korean singer, see MODEL_CARD.md there
