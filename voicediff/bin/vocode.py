"""Make sound of a mel-spectrogram, or of a recording's (copy synthesis).

INPUT is a mel as .npy (n_mels, T), natural logarithm; a feature file .npz of stage 2 (mel and F0); or a
recording .wav, whose mel and F0 are measured. The vocoder is a part by its name (griffin_lim,
harmonic), a folder that `voicediff train` or `voicediff import-checkpoint` wrote, or with --model
what that acoustic model sings with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from voicediff import experiment
from voicediff.audio import MelSpec, f0, log_mel, read_wav, write_wav
from voicediff.bin.arguments.vocode import add_arguments as add_arguments
from voicediff.devices import chosen
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.inference.vocoding import find_vocoder
from voicediff.vocoders import Vocoder


def run(args: argparse.Namespace) -> None:
    spec = None if args.model is None else experiment.load(args.model).task.mel
    named = find_vocoder(args.vocoder, spec, args.model)
    mel, pitch = read_input(args, named.vocoder)
    wav = sound_of(named.vocoder.to(chosen(args.device)), mel, pitch, args.seed)
    write_wav(args.out, wav, named.vocoder.sample_rate)
    print(f"{args.out}: {len(wav) / named.vocoder.sample_rate:.2f} s, {named.title}")


def read_input(args: argparse.Namespace, vocoder: Vocoder) -> tuple[np.ndarray, np.ndarray | None]:
    """mel (n_mels, T) and F0 (T,) or None. Raises DataError where they do not fit the vocoder."""
    spec, pitch = vocoder.spec, None
    if args.input.suffix == ".npy":
        mel = _array(args.input)
    elif args.input.suffix == ".npz":
        mel, pitch = (_array(args.input, name) for name in ("mel", "f0"))
    else:
        mel, pitch = _measured(args.input, spec, vocoder.needs_f0 and args.f0 is None)
    if args.f0 is not None:
        pitch = _array(args.f0)
    if mel.ndim != 2 or mel.shape[0] != spec.n_mels or mel.shape[1] == 0:
        raise DataError(
            f"{args.input}: has shape {mel.shape}, the vocoder reads mels ({spec.n_mels}, frames)"
        )
    if vocoder.needs_f0 and pitch is None:
        raise DataError(
            f"{args.input}: the vocoder needs F0 beside the mel; give --f0, or --vocoder griffin_lim"
        )
    if pitch is not None and pitch.shape != mel.shape[1:]:
        raise DataError(f"{args.f0 or args.input}: F0 {pitch.shape} for {mel.shape[1]} frames")
    return mel, pitch


@torch.inference_mode()
def sound_of(vocoder: Vocoder, mel: np.ndarray, pitch: np.ndarray | None, seed: int) -> np.ndarray:
    """wav (T * hop,) of mel (n_mels, T) and F0 (T,)."""
    device = next((p.device for p in vocoder.parameters()), torch.device("cpu"))
    given = None if pitch is None else torch.from_numpy(pitch).float()[None].to(device)
    wav = vocoder(torch.from_numpy(mel).float()[None].to(device), given, SeededNoise([seed]))
    return wav[0].float().cpu().numpy()


def _measured(path: Path, spec: MelSpec, with_f0: bool) -> tuple[np.ndarray, np.ndarray | None]:
    wav, rate = read_wav(path, spec.sample_rate)
    if spec.frames(len(wav)) == 0:
        raise DataError(f"{path}: shorter than one frame ({len(wav)} samples)")
    mel = log_mel(torch.from_numpy(wav), spec).numpy()
    return mel, f0(wav, rate, spec.hop) if with_f0 else None


def _array(path: Path, name: str = "") -> np.ndarray:
    try:
        with open(path, "rb") as file:
            content = np.load(file)
            return np.asarray(content[name] if name else content, np.float32)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise DataError(f"{path}: not an array of numbers ({error})") from error
