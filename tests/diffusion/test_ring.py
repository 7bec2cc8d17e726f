"""docs/examples/ring.py: every process learns the ring in seconds."""

import importlib.util
from pathlib import Path

import pytest

from voicediff.registry import entries

EXAMPLE = Path(__file__).parents[2] / "docs/examples/ring.py"
ALWAYS = ("vp_mean", "ouve", "flow")


def example():
    spec = importlib.util.spec_from_file_location("ring", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = [
    name if name in ALWAYS else pytest.param(name, marks=pytest.mark.all)
    for name in sorted(entries("sde"))
]


@pytest.mark.parametrize("sde", CASES)
def test_every_process_learns_a_ring_in_seconds(sde):
    ring = example()
    points = ring.sample(ring.train(sde, steps=1200), ring.sampler_for(sde), nfe=20)
    radius = points.norm(dim=1)
    assert radius.mean().item() == pytest.approx(1, abs=0.08)
    assert radius.std().item() < 0.2  # mu alone is a point at radius 0.45
    quadrants = (points > 0).float() @ points.new_tensor([2.0, 1.0])
    shares = quadrants.long().bincount(minlength=4) / len(points)
    assert shares.min() > 0.13  # in all directions, not only towards mu
