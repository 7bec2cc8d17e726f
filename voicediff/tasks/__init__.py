"""Tasks: singing voice synthesis, audio-visual speech separation, vocoder training.

A task is imported when it is built, so that singing does not import the video libraries.
"""

from voicediff.tasks.base import Batch, Losses, Preview, Task

__all__ = ["Batch", "Losses", "Preview", "Task"]
