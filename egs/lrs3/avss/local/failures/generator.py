"""A generator without predictor (Approach 1): whether it follows the video or the state."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from failures.batches import Batch, Loader
from failures.measures import Separate
from failures.network import LIPS, FiLM, UNet, network_planes
from failures.training import lips_of
from voicediff.audio.stft import STFT
from voicediff.diagnostics.detectors import si_sdr
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.sdes import SDE
from voicediff.networks.conditions import Conditions
from voicediff.registry import build

STEPS = 8
GRID = 9  # times at which the followed speaker is measured


class MaskingDecoder(nn.Module):
    """data = m1 mu + m2 x: two real masks, computed from state, mixture, lips and time."""

    def __init__(self):
        super().__init__()
        self.network = UNet(7, 2, FiLM())
        self.time = nn.Linear(1, LIPS)

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> tuple[Tensor, Conditions]:
        return mu, cond

    def forward(self, x: Tensor, t: Tensor, mu: Tensor, cond, mask: Tensor) -> Tensor:
        mu, cond = cond if isinstance(cond, tuple) else (mu, cond)
        time_plane = t[:, None, None, None].expand(-1, 1, *x.shape[2:])
        planes = torch.cat([4 * x, 4 * mu, network_planes(mu), time_plane], 1)
        lips = cond.frames["lips"] + self.time(t[:, None])[:, None]
        padded = F.pad(planes, (0, -planes.shape[-1] % 16))
        masks = self.network(padded, lips)[..., : planes.shape[-1]].float()
        return masks[:, :1] * mu + masks[:, 1:] * x


def diffusion(sde: dict, times: dict) -> Diffusion:
    objective = build("objective", {"name": "data"})
    return Diffusion(MaskingDecoder(), build("sde", sde), objective, times)


def loss(model: Diffusion, lips: nn.Module, loader: Loader):
    stft = STFT()

    def of_step(step: int) -> Tensor:
        batch = loader.draw(step)
        x0, mu = stft(batch.target), stft(batch.mixture)
        cond = Conditions(frames={"lips": lips_of(lips, batch.mouth)})
        noise = SeededNoise([step * len(mu) + i for i in range(len(mu))])
        losses = model.loss(x0, mu, cond, _everywhere(mu), noise)
        return losses.loss / losses.frames

    return of_step


def separating(model: Diffusion, lips: nn.Module, stochastic: bool) -> Separate:
    """Sampling from the mixture plus noise with STEPS steps; NFE is STEPS + 1."""
    stft = STFT()
    sampler = build("sampler", {"name": "dpm_solver", "steps": STEPS, "stochastic": stochastic})

    def separate(mixture: Tensor, mouth: Tensor) -> Tensor:
        mu = stft(mixture)
        cond = Conditions(frames={"lips": lips_of(lips, mouth)})
        with torch.autocast("cpu", torch.bfloat16):
            x0 = model.sample(sampler, mu, cond, _everywhere(mu), SeededNoise(range(len(mu))))
        return stft.inverse(x0.float(), mixture.shape[-1])

    return separate


@torch.no_grad()
def follows(model: Diffusion, lips: nn.Module, batches) -> dict[str, list[float]]:
    """At each t: share of estimates that follow the face when the state holds the other speaker.

    1: the network follows the video; 0: it follows the speaker from whom x_t was made.
    """
    times = torch.linspace(model.sde.t_min, model.sde.t_max, GRID)
    votes: list[list[Tensor]] = [[] for _ in times]
    for batch in batches:
        for vote, t in zip(votes, times, strict=True):
            face, state = _conflict(model, lips, batch, t)
            vote.append(face > state)
    share = [torch.cat(v).float().mean().item() for v in votes]
    return {"t": [round(t, 4) for t in times.tolist()], "video": [round(s, 3) for s in share]}


def _conflict(model: Diffusion, lips: nn.Module, batch: Batch, t: Tensor) -> tuple[Tensor, Tensor]:
    """SI-SDR of the estimate to the speaker of the face and to the one in the state, (B,) each."""
    stft = STFT()
    mu, cond = stft(batch.mixture), Conditions(frames={"lips": lips_of(lips, batch.mouth)})
    noise = SeededNoise(range(len(mu)))
    x = model.noised(stft(batch.other), mu, float(t), noise)
    with torch.autocast("cpu", torch.bfloat16):
        data = model.denoiser(mu, cond, _everywhere(mu))(x, t.expand(len(mu))).data
    out = stft.inverse(data.float(), batch.mixture.shape[-1])
    return si_sdr(out, batch.target), si_sdr(out, batch.other)


@torch.no_grad()
def distances(sde: SDE, batches) -> dict:
    """a(t) |A - B| / sigma(t), median: distance of two speakers in x_t in standard deviations.

    Far above 1, x_t identifies its speaker without any video.
    """
    stft = STFT()
    apart = torch.cat(
        [(stft(b.target) - stft(b.other)).flatten(1).norm(dim=1) for b in batches]
    ).median()
    t = torch.linspace(sde.t_min, sde.t_max, 101)
    return {
        "apart": round(apart.item(), 2),
        "t": [round(x, 4) for x in t.tolist()],
        "deviations": [round(d, 4) for d in (sde.a(t) * apart / sde.sigma(t)).tolist()],
    }


def _everywhere(mu: Tensor) -> Tensor:
    return torch.ones(len(mu), mu.shape[-1], dtype=torch.bool)
