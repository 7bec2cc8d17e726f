"""Make sound from a mel-spectrogram, or from that of a recording (copy synthesis).

INPUT is a mel-spectrogram as .npy (n_mels, T), natural logarithm; a feature file .npz of stage 2 (mel
and F0); or a recording .wav, whose mel and F0 are computed. The vocoder is a registered part
(griffin_lim, harmonic), a folder that `voicediff train` or `voicediff import-checkpoint` wrote, or with
--model the one that the acoustic model uses.
"""

from __future__ import annotations

import argparse

from voicediff.bin.arguments.vocode import add_arguments as add_arguments
from voicediff.inference.vocoder import Vocoder


def run(args: argparse.Namespace) -> None:
    vocoder = Vocoder.load(args.vocoder, args.model, args.device)
    sound = vocoder(args.input, args.f0, args.seed)
    sound.save(args.out)
    print(f"{args.out}: {sound.seconds:.2f} s, {vocoder.title}")
