"""The problems: singing voice synthesis, audio-visual separation, vocoding."""

from voicediff.tasks.avss import Separated, SpeechSeparation
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.tasks.svs import SingingSynthesis
from voicediff.tasks.vocoder import Vocoding

__all__ = [
    "Batch",
    "Losses",
    "Preview",
    "Separated",
    "SingingSynthesis",
    "SpeechSeparation",
    "Task",
    "Vocoding",
]
