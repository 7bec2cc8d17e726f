"""A song of four lines to try things with; tune and words were written for voicediff (MIT)."""

from pathlib import Path

FOLDER = Path(__file__).parent
MIDI = FOLDER / "morning.mid"  # notes without lyrics
WORDS = FOLDER / "morning.txt"  # the words for MIDI
MUSICXML = FOLDER / "morning.musicxml"  # the same notes with their words
