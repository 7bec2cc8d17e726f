"""Distillation of exact and of trained teachers: one-step samples have the variance of the data."""

import copy
import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from voicediff.decoders import Decoder, Prepared
from voicediff.diffusion.distillation import Distillation, DistillationOptions, ddim_step
from voicediff.diffusion.gaussian import GaussianData
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.objectives import from_data
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.registry import build

DATA = GaussianData(mean=1.0, std=0.5, mu=0.3)
RING = Path(__file__).parents[2] / "docs/examples/ring.py"


class PreparedMu(Prepared):
    pass


class Exact(Decoder):
    """Predicts the posterior mean of the Gaussian data."""

    def __init__(self, sde):
        super().__init__()
        self.posterior = DATA.estimate(sde)

    def prepare(self, mu, cond, mask):
        return PreparedMu()

    def evaluate(self, x_in, time_in, prepared):
        return self.posterior(x_in.reshape(-1, 1), time_in).data.reshape(x_in.shape)


class Affine(Decoder):
    """Gain and bias as learned functions of t: sufficient for Gaussian data."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.SiLU(), nn.Linear(32, 2))

    def prepare(self, mu, cond, mask):
        return PreparedMu()

    def evaluate(self, x_in, time_in, prepared):
        waves = time_in[:, None] * torch.tensor([1.0, 2.0, 4.0, 8.0])
        gain, bias = self.layers(torch.cat([waves.sin(), waves.cos()], 1)).T[..., None, None, None]
        return gain * x_in + bias


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda like: torch.randn(like.shape, generator=generator)


def pair(process="vp_mean"):
    """An untrained student and its exact teacher."""
    ends = {"flow": (0.02, 0.98), "vp_mean": (0.01, 0.8)}[process]
    sde = build("sde", {"name": process, "t_min": ends[0], "t_max": ends[1]})
    student = Diffusion(
        Affine(), sde, build("objective", {"name": "edm"}), {"name": "uniform", "t_max_share": 0.3}
    )
    asked = build("objective", {"name": "data", "residual": False})
    options = DistillationOptions(
        steps=10, target_decay=0.8, sampler={"name": "dpm_solver", "steps": 8}
    )
    return student, Distillation(student, options, Diffusion(Exact(sde), sde, asked))


def learn(student, losses, steps, rate=0.02):
    optimizer = torch.optim.Adam(student.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        found = losses()
        optimizer.zero_grad()
        (found.loss / found.frames).backward()
        optimizer.step()
        schedule.step()


def frames(size, value=DATA.mu):
    return torch.full((size, 1, 1, 1), value), Conditions(), torch.ones(size, 1, dtype=torch.bool)


def sampled(model, steps, name="consistency", size=4000):
    mu, cond, mask = frames(size)
    x0 = model.sample(build("sampler", {"name": name, "steps": steps}), mu, cond, mask, draw(1))
    return x0.mean().item(), x0.std().item()


@pytest.mark.parametrize("turn", ["consistency", "reflow"])
@pytest.mark.parametrize("process", ["vp_mean", "flow"])
def test_one_step_of_a_distilled_model_has_mean_and_variance_of_the_data(process, turn):
    """One step of a model that is not distilled gives the mean, even if the model is exact."""
    student, lesson = pair(process)
    mu, cond, mask = frames(128)
    noise = draw(0)

    def losses():
        if turn == "reflow":
            return lesson.reflow(student, mu, cond, mask, noise)
        x0 = DATA.mean + DATA.std * noise(mu)
        return lesson.consistency(student, x0, mu, cond, mask, noise)

    learn(student, losses, 250)
    walk = "consistency" if turn == "consistency" else "ddim"
    for steps in (1, 2):
        assert sampled(student, steps, walk) == pytest.approx((1.0, 0.5), abs=0.05)
    assert sampled(lesson.teacher, 1, walk) == pytest.approx((1.0, 0.0), abs=0.02)


def test_an_exact_consistency_function_samples_the_data_at_any_nfe():
    """f(x, t) = mean + (std / v)(x - a mean - b mu), v the std of x_t, as estimate of the sampler."""
    sde = build("sde", {"name": "vp_mean"})

    def exact(x, t):
        a, b, sigma = (f(t.double())[:, None] for f in (sde.a, sde.b, sde.sigma))
        spread = ((a * DATA.std) ** 2 + sigma**2).sqrt()
        data = DATA.mean + DATA.std / spread * (x - a * DATA.mean - b * DATA.mu)
        return from_data(data, sde, x, torch.full_like(x, DATA.mu), t)

    class Known(GaussianData):
        def estimate(self, sde):
            return exact

    data = Known(DATA.mean, DATA.std, DATA.mu)
    for steps in (1, 2, 5):
        found = data.sampled(build("sampler", {"name": "consistency", "steps": steps}), sde)
        assert found == pytest.approx((DATA.mean, DATA.std), abs=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_the_teachers_short_step_has_its_order(order):
    """Error of one step of lambda against the exact ODE solution: of order + 1 in its size."""
    sde = build("sde", {"name": "vp_mean"})
    exact = DATA.estimate(sde)
    late = torch.full((1,), 0.4, dtype=torch.float64)
    x = torch.full((1, 1), 1.7, dtype=torch.float64)
    mu = torch.full_like(x, DATA.mu)

    def error(width):
        early = sde.time_of(sde.log_snr(late) + width)
        data = exact(x, late).data
        there = ddim_step(sde, x, mu, late, early, data)
        if order == 2:
            there = ddim_step(sde, x, mu, late, early, (data + exact(there, early).data) / 2)
        (m0, s0), (m1, s1) = (DATA.marginal(sde, t.item()) for t in (late, early))
        return abs(there.item() - (m1 + s1 / s0 * (x.item() - m0)))

    assert math.log2(error(0.1) / error(0.05)) == pytest.approx(order + 1, abs=0.2)


def test_a_pair_contains_the_noise_that_the_teacher_started_from():
    student, lesson = pair()
    mu, cond, mask = frames(4)
    start = student.sde.prior(mu, draw(2), 1.1)
    x0 = lesson.teacher.sample(lesson.sampler, mu, cond, mask, draw(3), x=start)
    z = student.noise_between(x0, start, mu)
    end = torch.full((4,), student.sde.t_max)
    mean, sigma = student.sde.marginal(x0, mu, end)
    torch.testing.assert_close(mean + sigma[:, None, None, None] * z, start)


def test_one_step_of_a_distilled_model_samples_the_ring():
    spec = importlib.util.spec_from_file_location("ring", RING)
    ring = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ring)
    teacher = ring.train("vp_mean", steps=1000)
    student = copy.deepcopy(teacher)
    lesson = Distillation(student, DistillationOptions(steps=12))
    lesson.begin(student, Path("ring"))
    size, generator = 256, torch.Generator().manual_seed(5)
    noise, mu = ring.normal(generator), ring.means(size)
    mask = torch.ones(size, 1, dtype=torch.bool)

    def losses():
        return lesson.consistency(
            student, ring.ring(size, generator), mu, Conditions(), mask, noise
        )

    learn(student, losses, 500, rate=3e-3)
    mean, points = (
        ring.sample(model, {"name": "consistency"}, nfe=1) for model in (teacher, student)
    )
    radius = points.norm(dim=1)
    quadrants = (points > 0).float() @ points.new_tensor([2.0, 1.0])
    shares = quadrants.long().bincount(minlength=4) / len(points)
    assert mean.norm(dim=1).mean() < 0.15  # one step of the teacher gives the centre of the ring
    assert radius.mean().item() == pytest.approx(1, abs=0.08) and radius.std() < 0.25
    assert shares.min() > 0.13


def copied(**options):
    student = Diffusion(
        Affine(), build("sde", {"name": "vp_mean"}), build("objective", {"name": "edm"})
    )
    return student, Distillation(student, DistillationOptions(**options))


def test_the_teacher_has_the_initial_weights_and_stays_frozen():
    student, lesson = copied(target_decay=0.9)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.1)
    lesson.begin(student, Path("exp/teacher"))
    first = copy.deepcopy(student.state_dict())
    mu, cond, mask = frames(8)
    learn(student, lambda: lesson.consistency(student, mu + 1, mu, cond, mask, draw(0)), 3)
    for name, weights in first.items():
        assert torch.equal(lesson.teacher.state_dict()[name], weights)
        moved_by = (student.state_dict()[name] - weights).abs().max()
        followed = (lesson.target.state_dict()[name] - weights).abs().max()
        assert 0 < followed < moved_by
    assert not any(p.requires_grad for p in lesson.parameters())


def test_the_loss_ignores_padding_and_other_items():
    student, lesson = copied(target_decay=0.0)
    x0 = torch.randn(2, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    mask = length_mask(torch.tensor([6, 4]), 6)
    for turn in ("consistency", "reflow"):
        ask = getattr(lesson, turn)
        data = (x0,) if turn == "consistency" else ()
        both = ask(student, *data, 0 * x0, Conditions(), mask, SeededNoise([1, 2]))
        data = (x0[1:, ..., :4],) if data else ()
        mu, short = torch.zeros(1, 1, 4, 4), mask[1:, :4]
        alone = ask(student, *data, mu, Conditions(), short, SeededNoise([2]))
        torch.testing.assert_close(both.by_item[1:], alone.by_item)
        assert both.t[1] == alone.t[0] and both.frames == 10


def test_guidance_of_the_teacher_changes_the_target():
    plain, guided = (copied(target_decay=0.0, guidance=scales) for scales in ({}, {"mu": 2.0}))

    class Conditioned(Affine):
        def prepare(self, mu, cond, mask):
            prepared = PreparedMu()
            prepared.mu = mu
            return prepared

        def evaluate(self, x_in, time_in, prepared):
            return super().evaluate(x_in, time_in, prepared) + prepared.mu

    mu, cond, mask = frames(4, 1.0)
    losses = []
    for student, lesson in (plain, guided):
        student.decoder, lesson.teacher.decoder = Conditioned(), Conditioned()
        losses.append(lesson.reflow(student, mu, cond, mask, draw(0)).loss.item())
    assert losses[1] > 1.5 * losses[0]


def test_invalid_options_raise_one_line():
    student, lesson = copied()
    with pytest.raises(ConfigError, match=r"no teacher; start .*\(--init-from EXP\)"):
        lesson.begin(student, None)
    student.drop = {"lips": 0.1}
    with pytest.raises(ConfigError, match="distillation drops no conditions"):
        Distillation(student, DistillationOptions())
    student, lesson = copied(sde={"name": "vp"})
    mu, cond, mask = frames(2)
    with pytest.raises(ConfigError, match="consistency requires the teacher's process"):
        lesson.consistency(student, mu, mu, cond, mask, draw(0))
