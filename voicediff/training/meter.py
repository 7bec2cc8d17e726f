"""Running means for the log: losses, their terms, and the diffusion loss by bin of t."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import Tensor

from voicediff.networks.precision import has_float64
from voicediff.tasks.base import Losses

BINS = 10  # of t in [0, 1]


class Meter:
    """Weighted means in float64, on the training device if it supports float64, else on the CPU."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.sums: dict[str, Tensor] = {}  # name -> (sum, weight)

    def add(self, name: str, total: Tensor | float, weight: Tensor | float) -> None:
        now = torch.stack([self._summand(value) for value in (total, weight)])
        self.sums[name] = self.sums[name] + now if name in self.sums else now

    def add_losses(self, target: str, losses: Losses, count: int) -> None:
        """Add the losses of one optimisation target on one batch of `count` frames."""
        self.add(f"{target}/loss", losses.loss, count)
        for name, value in losses.terms.items():
            self.add(f"{target}/{name}", value, count)
        if losses.t is None or losses.by_item is None:
            return
        bins = (losses.t * BINS).long().clamp(0, BINS - 1)
        for number in range(BINS):
            inside = bins == number
            self.add(f"{target}/t{number}", (losses.by_item * inside).sum(), inside.sum())

    def means(self) -> dict[str, float]:
        """The means over all processes, without names of weight 0. Resets the sums."""
        totals = self.totals()
        self.sums = {}
        return {name: total / weight for name, (total, weight) in totals.items() if weight}

    def totals(self) -> dict[str, tuple[float, float]]:
        """The sums over all processes; afterwards the main process holds them."""
        names = sorted(self.sums)
        if not names:
            return {}
        summed = self.accelerator.reduce(torch.stack([self.sums[name] for name in names]), "sum")
        keep = float(self.accelerator.is_main_process)
        self.sums = {name: row * keep for name, row in zip(names, summed, strict=True)}
        return {name: tuple(row) for name, row in zip(names, summed.tolist(), strict=True)}

    def restore(self, totals: dict[str, list[float]]) -> None:
        """Continue from the result of `totals`."""
        keep = float(self.accelerator.is_main_process)
        self.sums = {
            name: torch.stack([self._summand(value) for value in pair]) * keep
            for name, pair in totals.items()
        }

    def _summand(self, value: Tensor | float) -> Tensor:
        if not isinstance(value, Tensor):
            value = torch.tensor(value, dtype=torch.float64)
        return value.detach().to(self.device).double()

    @property
    def device(self) -> torch.device:
        """The device of the sums."""
        device = self.accelerator.device
        return device if has_float64(device.type) else torch.device("cpu")
