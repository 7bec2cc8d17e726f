"""The problems: singing voice synthesis, audio-visual separation, vocoding.

A task is imported when it is built, so that singing does not load what reading videos needs.
"""

from voicediff.tasks.base import Batch, Losses, Preview, Task

__all__ = ["Batch", "Losses", "Preview", "Task"]
