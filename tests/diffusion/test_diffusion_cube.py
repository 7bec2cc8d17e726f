"""Process x objective x sampler: every allowed combination runs, and items do not depend on the batch.

By default pairwise coverage (every pair of parts occurs); all combinations with VOICEDIFF_TEST_ALL=1.
"""

import itertools

import pytest
import torch
from torch import nn

from voicediff.decoders import Decoder
from voicediff.decoders.base import Prepared
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.registry import build, entries

KINDS = ("sde", "objective", "sampler")
CUBE = list(itertools.product(*(sorted(entries(kind)) for kind in KINDS)))


def pairwise(cube: list[tuple]) -> list[tuple]:
    """A subset of the combinations in which every pair of parts occurs, chosen greedily."""

    def pairs(row):
        return {(i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)}

    missing, chosen = set().union(*map(pairs, cube)), []
    while missing:
        row = max(cube, key=lambda row: len(pairs(row) & missing))
        chosen.append(row)
        missing -= pairs(row)
    return chosen


COVER = pairwise(CUBE)
REST = [pytest.param(*row, marks=pytest.mark.all) for row in CUBE if row not in set(COVER)]


class Network(Decoder):
    """Two layers that act on each frame of each item on its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(4, 8, 1), nn.SiLU(), nn.Conv2d(8, 2, 1))

    def prepare(self, mu, cond, mask):
        prepared = Prepared()
        prepared.mu, prepared.mask = mu, mask
        return prepared

    def evaluate(self, x_in, time_in, prepared):
        x = torch.tanh(torch.cat([x_in, prepared.mu], 1))
        y = 0.1 * self.layers(x) * (1 + time_in[:, None, None, None])
        return y * prepared.mask[:, None, None]


def diffusion(sde: str, objective: str) -> Diffusion:
    task = build("objective", {"name": objective})
    return Diffusion(Network(), build("sde", {"name": sde}), task)


def few(name: str):
    return build(
        "sampler", {"name": name, **({"tolerance": 0.3} if name == "rk45" else {"steps": 3})}
    )


@pytest.mark.parametrize(KINDS, [*COVER, *REST])
def test_every_combination_trains_and_samples_independently_of_the_batch(sde, objective, sampler):
    model, walk = diffusion(sde, objective), few(sampler)
    mu = torch.randn(3, 2, 3, 6, generator=torch.Generator().manual_seed(0))
    mask = length_mask(torch.tensor([6, 4, 5]), 6)
    losses = model.loss(mu + 0.3, mu, Conditions(), mask, SeededNoise([1, 2, 3]))
    losses.loss.backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
    together = model.sample(walk, mu, Conditions(), mask, SeededNoise([1, 2, 3]))
    assert together.isfinite().all() and together.shape == mu.shape
    assert together.dtype == torch.float32 and (together * ~mask[:, None, None] == 0).all()
    again = model.sample(walk, mu, Conditions(), mask, SeededNoise([1, 2, 3]))
    assert torch.equal(again, together)
    size = together.abs().max()
    for items in ([1], [0, 2]):
        frames = int(mask[items].sum(1).max())
        x0 = model.sample(
            walk,
            mu[items][..., :frames],
            Conditions(),
            mask[items][:, :frames],
            SeededNoise([i + 1 for i in items]),
        )
        assert (x0 - together[items][..., :frames]).abs().max() <= 1e-4 * size
    other = model.sample(walk, mu, Conditions(), mask, SeededNoise([7, 2, 3]))
    assert (
        torch.equal(other[1:], together[1:]) or (other[1:] - together[1:]).abs().max() < 1e-4 * size
    )
    assert not torch.equal(other[0], together[0])


def test_the_subset_contains_every_pair():
    for i, j in itertools.combinations(range(3), 2):
        wanted = {(row[i], row[j]) for row in CUBE}
        assert {(row[i], row[j]) for row in COVER} == wanted
    assert len(COVER) < len(CUBE) / 3
