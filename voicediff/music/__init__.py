"""Musical scores with syllables: readers, writers, linter, and alignment to frames."""

from voicediff.music.csd import read_csd, write_csd
from voicediff.music.midi import write_midi
from voicediff.music.reading import read_score
from voicediff.music.score import Note, Score

__all__ = ["Note", "Score", "read_csd", "read_score", "write_csd", "write_midi"]
