"""Audio-video synchrony of crops: a flash and a click, measured at the input of the network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicediff.data.separation.augmentation import VideoAugmentation
from voicediff.data.separation.clips import Clip, write_clip
from voicediff.data.separation.dataset import MixtureOptions
from voicediff.data.separation.mixtures import PROTOCOLS, Entry
from voicediff.data.separation.talks import Prepared, write_prepared
from voicediff.diagnostics.check import Check, below, not_measured
from voicediff.diagnostics.video import moved
from voicediff.networks.conditions import Conditions
from voicediff.networks.precision import widened
from voicediff.registry import read_options
from voicediff.tasks.avss.model import SpeechSeparation
from voicediff.video.constants import FACE, FPS, HOP, MOUTH

TITLE = "flash and click in crops from any position: distance"
HALF = 500 / FPS  # ms, half a frame of video
CLICK = 20000  # of int16
MARGIN = (
    FPS  # frames by which a clip is longer than a crop, so that crops start anywhere in a second
)
CLIPS = 8


def flash_and_click(task: SpeechSeparation, options: Mapping[str, Any], crops: int = 48) -> Check:
    """Largest distance in ms between a flash and its click, over random crops of the task's dataset.

    Each of a few clips has one frame with both. The lip encoder is replaced by the mean brightness
    of its input; the resulting conditions of the predictor (or decoder) are compared with the
    spectrum in the same call. `options`: those of the dataset, `data` of a phase.
    """
    if task.lips is None:
        return not_measured("clock", TITLE, "the model has no lip encoder")
    chosen = read_options(MixtureOptions, dict(options), "data")
    frames = chosen.frames or PROTOCOLS[chosen.protocol].frames
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, undisturbed(task), brightness(task.lips):
        write_flashes(Path(folder), frames)
        dataset = task.dataset(Path(folder), True, dict(options))
        for first in range(0, crops, 8):
            seeds = list(range(first, first + 8))
            batch = task.collate([dataset.item(seed, seed) for seed in seeds], seeds)
            worst = max(worst, distance(task, batch))
    return below("clock", TITLE, worst, HALF, "ms")


def distance(task: SpeechSeparation, batch: dict[str, Any]) -> float:
    """Largest distance in ms between clicks and flashes of a batch, one speaker at a time."""
    device = next(task.parameters()).device
    batch = moved(batch, device)
    speakers, found = batch["sources"].shape[1], 0.0
    for speaker in range(speakers):
        spectrum, cond = network_inputs(task, {**batch, "mixture": batch["sources"][:, speaker]})
        clicks = centres(spectrum.square().sum((1, 2)).square()) / task.frame_rate
        off = (clicks - flashes(task, cond))[speaker::speakers]
        found = max(found, 1000 * off.abs().max().item())
    return found


def flashes(task: SpeechSeparation, cond: Conditions) -> Tensor:
    """Times in s of the flash in the conditions, (B S,)."""
    if "lips" in cond.frames:
        return centres(cond.frames["lips"].mean(-1)) / task.frame_rate
    return (centres(cond.tokens["lips_tokens"].mean(-1)) + 0.5) / FPS


def centres(weights: Tensor) -> Tensor:
    """Centre of gravity (B,), in steps, of weights (B, T) with one peak."""
    weights = widened(weights * (weights > 0.01 * weights.amax(1, keepdim=True)))
    steps = torch.arange(weights.shape[1], device=weights.device)
    return (weights * steps).sum(1) / weights.sum(1)


def write_flashes(folder: Path, frames: int) -> None:
    """Two clips each of two men and two women, with a flash and a click inside every crop."""
    clips = []
    for number in range(CLIPS):
        event, total = MARGIN + number % max(frames - MARGIN, 1), frames + MARGIN
        clip = Clip(
            audio=np.zeros(total * HOP, np.int16),
            mouth=np.zeros((total, MOUTH, MOUTH), np.uint8),
            valid=np.ones(total, bool),
            face=np.zeros((FACE, FACE, 3), np.uint8),
        )
        clip.audio[event * HOP + HOP // 2], clip.mouth[event] = CLICK, 255
        clip.mouth[::2, 0, 0] ^= (
            1  # a corner outside the crop flickers, so that the video does not count as frozen
        )
        entry = Entry(f"clip{number}", f"speaker{number // 2}", "mmmmffff"[number], total)
        write_clip(folder / f"{entry.id}.npz", clip)
        clips.append(Prepared(entry, folder / f"{entry.id}.npz"))
    write_prepared(folder, clips)


@contextmanager
def undisturbed(task: SpeechSeparation) -> Iterator[None]:
    """Switch off the video augmentation within the block."""
    kept, task.augmentation = task.augmentation, VideoAugmentation()
    try:
        yield
    finally:
        task.augmentation = kept


@contextmanager
def brightness(lips: nn.Module) -> Iterator[None]:
    """Replace the encoder's output by the brightness of each frame of mouth (B, T, H, W), minimum 0."""

    def bright(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        level = inputs[0].float().mean((2, 3))
        return (level - level.amin(1, keepdim=True))[..., None].expand_as(output)

    hook = lips.register_forward_hook(bright)
    try:
        yield
    finally:
        hook.remove()


class _Intercepted(Exception):
    def __init__(self, spectrum: Tensor, cond: Conditions):
        self.spectrum, self.cond = spectrum, cond


@torch.no_grad()
def network_inputs(task: SpeechSeparation, batch: dict[str, Any]) -> tuple[Tensor, Conditions]:
    """The mixture's spectrum (B S, 2, F, T) and the conditions, as the first network receives them."""
    network, target, place = task.predictor, "predictor", 0
    if network is None:
        network, target, place = task.diffusion.decoder, "generator", 2

    def stop(module: nn.Module, inputs: tuple) -> None:
        raise _Intercepted(inputs[place], inputs[place + 1])

    hook = network.register_forward_pre_hook(stop)
    try:
        task(batch, target)
    except _Intercepted as call:
        return call.spectrum, call.cond
    finally:
        hook.remove()
    raise RuntimeError(f"the target {target} does not run its network")
