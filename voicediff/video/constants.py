"""Rates and sizes for videos."""

SAMPLE_RATE = 16000
FPS = 25
HOP = SAMPLE_RATE // FPS  # samples per frame of video
MOUTH = 96  # pixels, side of a stored mouth crop
FACE = 224  # pixels, side of a stored face picture
