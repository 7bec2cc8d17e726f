"""Training: warm-up of the lip encoder, separators, and weight averages."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from failures.batches import FRAMES, Loader, talking
from failures.network import BANDS, LipEncoder
from voicediff.diagnostics.detectors import si_sdr
from voicediff.training.optimizers import muon
from voicediff.training.schedules import Cosine

RATE = 2e-3
CLIP = 5.0


@dataclass
class Curve:
    """Losses, number of updates and duration in s of a training."""

    losses: list[float] = field(default_factory=list)
    updates: int = 0
    seconds: float = 0.0

    def to_dict(self, points: int = 60) -> dict:
        """Means over segments of the curve, for figures."""
        size = max(1, len(self.losses) // points)
        means = [
            sum(self.losses[i : i + size]) / size
            for i in range(0, len(self.losses) - size + 1, size)
        ]
        return {
            "losses": [round(m, 4) for m in means],
            "every": size,
            "steps": len(self.losses),
            "updates": self.updates,
            "seconds": round(self.seconds, 1),
        }


def fit(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    steps: int,
    accumulate: int = 1,
    after: Callable[[], None] = lambda: None,
) -> Curve:
    """Minimise `loss(step)` in bf16; one update per `accumulate` batches; `after` is called after each update."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer, schedule = muon(parameters, lr=RATE), Cosine(warmup=0 if accumulate > 1 else 20)
    rates = [group["lr"] for group in optimizer.param_groups]
    curve, started = Curve(), time.perf_counter()
    for step in range(steps):
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(step)
        (value / accumulate).backward()
        curve.losses.append(value.item())
        if (step + 1) % accumulate:
            continue
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule(curve.updates, steps // accumulate)
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        curve.updates += 1
        after()
    curve.seconds = time.perf_counter() - started
    return curve


def warm_up(encoder: LipEncoder, loader: Loader, steps: int, clips: int = 6) -> Curve:
    """Train the encoder to predict the band energies of the sound from the mouth."""
    encoder.train()

    def loss(step: int) -> Tensor:
        sound, mouth = talking(loader, step, clips)
        predicted = encoder.bands(encoder(mouth)).float()
        return (predicted - band_energies(sound)).square().mean()

    return fit(encoder, loss, steps)


def band_energies(sound: Tensor) -> Tensor:
    """(B, N) -> (B, T, BANDS): log energies of 16 bands in both halves of each frame of video."""
    power = (
        torch.stft(sound, 640, 320, window=torch.hann_window(640), center=True, return_complex=True)
        .abs()
        .square()[..., 1:]
    )  # (B, 321, 2 T), centred on multiples of 20 ms
    # bands of equal width on a root scale, 0 to 8 kHz
    edges = (torch.linspace(0, 1, BANDS // 2 + 1).square() * 320).round().long() + 1
    edges[0] = 1
    bands = [power[:, a : max(b, a + 1)].mean(1) for a, b in itertools.pairwise(edges)]
    level = (torch.stack(bands, 1) + 1e-4).log()
    level = level - level.mean((1, 2), keepdim=True)
    return level.unflatten(2, (FRAMES, 2)).permute(0, 2, 1, 3).flatten(2) / 3


def negative_si_sdr(separator: nn.Module, lips: nn.Module, loader: Loader, blind: bool = False):
    """The loss of a step: negative SI-SDR; `blind` sets the lip features to zero."""

    def loss(step: int) -> Tensor:
        batch = loader.draw(step)
        features = lips_of(lips, batch.mouth, blind)
        return -si_sdr(separator(batch.mixture, features).float(), batch.target).mean()

    return loss


@torch.no_grad()
def lips_of(lips: nn.Module, mouth: Tensor, blind: bool = False) -> Tensor:
    features = lips(mouth).float()
    return torch.zeros_like(features) if blind else features


def average(
    module: nn.Module, decay: Callable[[int], float]
) -> tuple[nn.Module, Callable[[], None]]:
    """An average of the weights of a module, and the function to call after each update."""
    averaged, updates = copy.deepcopy(module), itertools.count(1)

    @torch.no_grad()
    def follow() -> None:
        weight = 1 - decay(next(updates))
        for ours, theirs in zip(averaged.parameters(), module.parameters(), strict=True):
            ours.lerp_(theirs, weight)

    return averaged, follow
