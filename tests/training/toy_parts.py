"""A user's parts in a file: a tiny task with every feature that the trainer supports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.networks.layers import length_mask
from voicediff.registry import register
from voicediff.tasks.base import Batch, Losses, Preview, Task


class Sequences(Dataset):
    """Rows of (T, 4) from `sequences.npz`; cropped to `crop` frames at a place given by the seed."""

    def __init__(self, folder: Path, crop: int | None):
        with np.load(folder / "sequences.npz") as file:
            self.rows = {name: file[name] for name in file}
        self.names, self.crop = list(self.rows), crop
        self.lengths = [len(row) for row in self.rows.values()]

    def __len__(self) -> int:
        return len(self.names)

    def item(self, index: int, seed: int) -> tuple[str, Tensor]:
        name = self.names[index]
        row = torch.from_numpy(self.rows[name])
        if torch.isposinf(row).any():
            raise DataError(f"{name}: infinite")
        if self.crop and len(row) > self.crop:
            start = int(np.random.default_rng(seed).integers(len(row) - self.crop))
            row = row[start : start + self.crop]
        return name, row


@register("task", "toy")
class Toy(Task):
    """Restore sequences from noise, with a discriminator (`critic`)."""

    best = "error"
    targets: ClassVar = {
        "restore": ("net.",),
        "critic": ("critic.",),
        "fool": ("net.",),
        "all": ("",),
    }

    def __init__(self, hidden: int = 8, dropout: float = 0.0, assets: Path | None = None):
        super().__init__()
        tokens = (assets / "tokens.txt").read_text().split() if assets else ["a"]
        self.embedding = nn.Embedding(len(tokens), 4)
        self.net = nn.Sequential(
            nn.Linear(4, hidden), nn.Tanh(), nn.Dropout(dropout), nn.Linear(hidden, 4)
        )
        self.critic = nn.Linear(4, 1)

    def dataset(self, folder: Path, training: bool, options: dict[str, Any]) -> Sequences:
        return Sequences(folder, options.get("crop"))

    @staticmethod
    def collate(items: list[tuple[str, Tensor]], seeds: list[int]) -> Batch:
        names, rows = zip(*items, strict=True)
        lengths = torch.tensor([len(row) for row in rows])
        x = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        return {"utts": list(names), "seeds": seeds, "x": x, "mask": length_mask(lengths)}

    def count(self, batch: Batch) -> int:
        return int(batch["mask"].sum())

    def forward(self, batch: Batch, target: str) -> Losses:
        sys.audit("toy.forward")  # an event at which a test may kill the process
        noise = SeededNoise(batch["seeds"])
        x, mask = batch["x"], batch["mask"]
        t = noise(x[:, :1, 0]).sigmoid()[:, 0]
        restored = self.net(x + t[:, None, None] * noise(x.mT).mT + self.embedding.weight[0])
        if target == "critic":
            error = self.critic(restored.detach()).square() + (self.critic(x) - 1).square()
        elif target == "fool":
            error = (self.critic(restored) - 1).square()
        else:
            error = (restored - x).square()
        error = error.mean(-1) * mask
        by_item = error.detach().sum(1) / mask.sum(1)
        loss = error.sum()
        return Losses(loss, {"square": loss.detach()}, t, by_item)

    def preview(self, batches: list[Batch], sampler: Any, pictures: int) -> Preview:
        errors = [(self.net(b["x"]) - b["x"]).square().mean() for b in batches]
        error = float(torch.stack(errors).mean())
        picture = np.zeros((4, 6, 3), np.uint8)
        sound = np.zeros(800, np.float32)
        return Preview({"error": error}, {"net": picture}, {"tone": sound}, 8000)
