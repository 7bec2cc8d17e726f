"""A small prepared corpus whose mouth crops encode the sound, and models that use or misuse them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voicediff.audio import STFT
from voicediff.data.separation.clips import Clip, write_clip
from voicediff.data.separation.dataset import ListedMixtures
from voicediff.data.separation.mixtures import PROTOCOLS, Drawer, Entry, draw_list
from voicediff.data.separation.talks import Prepared, read_prepared, write_prepared
from voicediff.diffusion.noise import item_seed
from voicediff.experiment import Config, Experiment
from voicediff.registry import Spec
from voicediff.tasks.avss.model import Separated
from voicediff.video.constants import HOP

FRAMES = 12  # of a mixture
NETWORK = {"name": "patch_unet", "channels": [4, 8], "patch": [4, 2]}
TASK = {
    "name": "avss",
    "stft": {"n_fft": 126, "hop": 64},
    "encoders": {"lips": {"name": "lip_stacks", "dim": 8, "channels": [4, 4], "layers": 1}},
    "predictor": {**NETWORK, "full_band": [2], "recurrent": 8},
    "decoder": NETWORK,
    "sde": {"name": "bridge"},
    "objective": {"name": "data"},
}
PHASE = {"name": "predictor", "targets": ["predictor"], "steps": 40, "batch_size": 2}
PHASE |= {"optimizer": {"name": "muon", "lr": 1e-2}, "data": {"frames": FRAMES}}


def write_talkers(folder: Path) -> Path:
    """Two men and two women, two clips each; every mouth crop holds the samples of its frame as pixels."""
    prepared = []
    for number in range(8):
        draw = np.random.default_rng(number)
        time = np.arange((FRAMES + 3) * HOP) / 16000
        sound = np.sin(2 * np.pi * (500 + 800 * number) * time) + 0.1 * draw.standard_normal(
            len(time)
        )
        audio = (8000 * sound).astype(np.int16)
        mouth = np.zeros((FRAMES + 3, 96, 96), np.uint8)
        mouth.reshape(FRAMES + 3, -1)[:, : 2 * HOP] = audio.view(np.uint8).reshape(FRAMES + 3, -1)
        clip = Clip(audio, mouth, np.ones(FRAMES + 3, bool), np.zeros((224, 224, 3), np.uint8))
        entry = Entry(f"clip{number}", f"speaker{number // 2}", "mmmmffff"[number], FRAMES + 3)
        write_clip(folder / f"{entry.id}.npz", clip)
        prepared.append(Prepared(entry, folder / f"{entry.id}.npz"))
    write_prepared(folder, prepared)
    drawer = Drawer([p.entry for p in prepared], PROTOCOLS["own"], frames=FRAMES)
    draw_list(drawer, "own", folder.name, 6, 0).write(folder / "lists" / "own.json")
    return folder


def mixtures(folder: Path) -> ListedMixtures:
    from voicediff.data.separation.mixtures import read_list

    return ListedMixtures(read_prepared(folder), read_list(folder / "lists" / "own.json"))


def experiment(folder: Path, step: int = 40, **changed) -> Experiment:
    """A small model with random weights."""
    config = Config(Spec({**TASK, **changed}, "task"), training={"phases": [dict(PHASE)]})
    return Experiment(config.build_task().eval(), config, None, folder, step)


class PixelDecoder(torch.nn.Module):
    """A separator without a fault: decodes the sound from the mouth crops. Subclasses add a fault."""

    lips, identity, diffusion = "read", None, None

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.stft, self.predictor = STFT(), self

    def collate(self, items: list[dict], seeds: list[int]):
        from voicediff.data.separation.dataset import collate_mixtures

        return collate_mixtures(items, seeds)

    def separate(self, mixture, mouth, valid, face, frames, sampler, noise, *rest) -> Separated:
        voices = self.voices(mixture, decoded(mouth))
        return Separated(voices, voices, 0)

    def voices(self, mixture: Tensor, read: Tensor) -> Tensor:
        """read (B, S, N), unscaled; the mixture for black videos."""
        return torch.where(read.abs().amax(-1, keepdim=True) > 0, read, mixture[:, None])


class Blind(PixelDecoder):
    """Returns the mixture for every face."""

    def voices(self, mixture: Tensor, read: Tensor) -> Tensor:
        noise = torch.randn(read.shape, generator=torch.Generator().manual_seed(0))
        return mixture[:, None] + 1e-3 * noise


class Crossed(PixelDecoder):
    """Returns the other speaker for each face."""

    def voices(self, mixture: Tensor, read: Tensor) -> Tensor:
        return read.roll(1, 1)


class Memorising(PixelDecoder):
    """Ignores the order of frames: has memorised the sources."""

    def voices(self, mixture: Tensor, read: Tensor) -> Tensor:
        keys = [item_seed(int(r.sum() * 1000)) for r in read.abs().flatten(0, 1)]
        if not hasattr(self, "known"):
            self.known = {}
        for key, voice in zip(keys, read.flatten(0, 1), strict=True):
            self.known.setdefault(key, voice)
        return torch.stack([self.known[key] for key in keys]).unflatten(0, read.shape[:2])


def decoded(mouth: Tensor) -> Tensor:
    """mouth (B, S, T, 96, 96) uint8 -> sound (B, S, N)."""
    bytes_ = mouth.flatten(3)[..., : 2 * HOP].contiguous()
    return bytes_.view(torch.int16).flatten(2).float() / 32768
