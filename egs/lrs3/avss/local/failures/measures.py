"""Metrics: SI-SDR improvement, selection of the speaker, effect of a changed video."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from failures.batches import Batch
from voicediff.diagnostics.detectors import si_sdr

#: (mixture (B, N), mouth (B, T, 96, 96)) -> tracks (B, N)
Separate = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Scores:
    """Means over a list of mixtures.

    Attributes:
        different, same: SI-SDRi in dB for two different people, and for two clips of one person.
        selection: share of outputs nearer to their target than to the other speaker.
        swap: SI-SDR in dB between the outputs for the two faces; high if the face is ignored.
        shuffled: SI-SDRi in dB on all mixtures with the frames of each video in random order.
    """

    different: float
    same: float
    selection: float
    swap: float
    shuffled: float

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


@torch.no_grad()
def score(separate: Separate, batches: Iterable[Batch]) -> Scores:
    gains, right, same, swap, shuffled = [], [], [], [], []
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        before = si_sdr(batch.mixture, batch.target)
        out = separate(batch.mixture, batch.mouth)
        after = si_sdr(out, batch.target)
        gains.append(after - before)
        right.append(after > si_sdr(out, batch.other))
        same.append(batch.same)
        swap.append(si_sdr(out[0::2], out[1::2]))
        order = torch.randperm(batch.mouth.shape[1], generator=generator)
        mixed_up = separate(batch.mixture, batch.mouth[:, order])
        shuffled.append(si_sdr(mixed_up, batch.target) - before)
    gain, one = torch.cat(gains), torch.cat(same)
    return Scores(
        different=gain[~one].mean().item(),
        same=gain[one].mean().item(),
        selection=torch.cat(right).float().mean().item(),
        swap=torch.cat(swap).median().item(),
        shuffled=torch.cat(shuffled).mean().item(),
    )
