"""Closed forms of each process against quadrature, simulation and the values of the papers."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scipy.interpolate import PchipInterpolator
from scipy.special import expi

from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.sdes import SDE, Flow
from voicediff.errors import ConfigError
from voicediff.registry import build, entries

VARIANTS = [
    *({"name": name} for name in entries("sde")),
    {"name": "ddpm", "schedule": "cosine"},
    {"name": "flow", "from_mu": False, "sigma_min": 0.1},
    {"name": "bridge", "schedule": "vp"},
    {"name": "ouve", "sigma_min": 0.05, "sigma_max": 0.5},
]


def process(spec: dict) -> SDE:
    return build("sde", spec)


def at(*times: float) -> torch.Tensor:
    return torch.tensor(times, dtype=torch.float64)


def inner(sde: SDE, n: int = 7) -> torch.Tensor:
    """Times inside the path, away from its ends."""
    return torch.linspace(max(sde.t_min, 0.02), min(sde.t_max, 0.98), n, dtype=torch.float64)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_marginal_is_the_integral_of_drift_and_diffusion(spec):
    sde = process(spec)
    start, stop = inner(sde, 2).tolist()

    def growth(t, moments):
        a, b, variance = moments
        f, h, g = (x.item() for x in sde.linear(at(t)))
        return [f * a, f * b + h, 2 * f * variance + g**2]

    first = at(start)
    moments = [sde.a(first).item(), sde.b(first).item(), sde.sigma(first).item() ** 2]
    path = solve_ivp(growth, (start, stop), moments, rtol=1e-6, atol=1e-9, max_step=0.1)
    a, b, variance = path.y[:, -1]
    tolerance = {"rel": 1e-4, "abs": 1e-9}
    assert a == pytest.approx(sde.a(at(stop)).item(), **tolerance)
    assert b == pytest.approx(sde.b(at(stop)).item(), **tolerance)
    assert math.sqrt(variance) == pytest.approx(sde.sigma(at(stop)).item(), **tolerance)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_published_sde_is_the_one_that_follows_from_the_marginals(spec):
    sde = process(spec)
    for published, derived in zip(sde.linear(inner(sde)), SDE.linear(sde, inner(sde)), strict=True):
        torch.testing.assert_close(published, derived, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_simulated_forward_sde_reaches_the_marginal(spec):
    """Euler-Maruyama's moments, exactly: the drift is affine in x and mu."""
    sde, steps = process(spec), 4000
    start, stop = inner(sde, 2).tolist()
    t = torch.linspace(start, stop, steps + 1, dtype=torch.float64)[:-1]
    zero, one = torch.zeros(steps, 1).double(), torch.ones(steps, 1).double()
    by_x, g = sde.drift_diffusion(one, zero, t)
    by_mu, _ = sde.drift_diffusion(zero, one, t)
    kept, mean, variance, h = 1.0, 0.0, 0.0, (stop - start) / steps
    for f, pull, noise in zip(by_x[:, 0].tolist(), by_mu[:, 0].tolist(), g.tolist(), strict=True):
        kept, mean = kept * (1 + h * f), mean * (1 + h * f) + h * 0.7 * pull
        variance = variance * (1 + h * f) ** 2 + h * noise**2
    one, two = at(start), at(stop)
    pull = (sde.a(two) / sde.a(one)).item()
    wanted = 0.7 * (sde.b(two) - pull * sde.b(one)).item()
    spread = math.sqrt(sde.sigma(two).item() ** 2 - (pull * sde.sigma(one).item()) ** 2)
    near = {"rel": 0.02, "abs": 5e-3}
    assert kept == pytest.approx(pull, **near)
    assert mean == pytest.approx(wanted, **near)
    assert variance**0.5 == pytest.approx(spread, **near)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_derivatives_are_the_slopes_of_the_closed_forms(spec):
    sde, t, h = process(spec), inner(process(spec)), 1e-6
    functions = (sde.a, sde.b, sde.sigma)
    with torch.inference_mode():
        derivatives = sde.derivatives(t)
    for function, derivative in zip(functions, derivatives, strict=True):
        slope = (function(t + h) - function(t - h)) / (2 * h)
        torch.testing.assert_close(derivative, slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_log_snr_decreases_and_time_of_is_its_inverse(spec):
    sde, t = process(spec), inner(process(spec), 50)
    clock = sde.log_snr(t)
    assert (clock.diff() < 0).all()
    torch.testing.assert_close(sde.time_of(clock), t, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_float32_is_as_good_as_float64(spec):
    sde = process(spec)
    t = torch.linspace(sde.t_min, sde.t_max, 101)
    for function in (sde.a, sde.b, sde.sigma):
        single, double = function(t), function(t.double())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), double, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_everything_is_finite_between_the_ends(spec):
    sde = process(spec)
    t = torch.linspace(sde.t_min, sde.t_max, 1001, dtype=torch.float64)
    values = [sde.a(t), sde.b(t), sde.sigma(t), *sde.derivatives(t), *sde.linear(t), sde.log_snr(t)]
    assert all(value.isfinite().all() for value in values)


def test_only_centred_processes_depend_on_mu():
    for spec in VARIANTS:
        sde = process(spec)
        assert bool((sde.b(inner(sde)) != 0).any()) == sde.centred


def test_ddpm_is_the_product_of_its_betas():
    sde = process({"name": "ddpm"})
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = torch.cumprod(1 - betas, 0)
    steps = torch.arange(1, 1001, dtype=torch.float64) / 1000
    torch.testing.assert_close(sde.a(steps).square(), kept, rtol=1e-9, atol=0)
    assert sde.a(at(1.0)).square().item() == pytest.approx(4.0358e-5, rel=1e-4)


def test_ddpm_schedules_are_not_swapped():
    """Halfway the linear schedule keeps 8 % of the signal's power, the cosine one half."""
    linear, cosine = (process({"name": "ddpm", "schedule": s}) for s in ("linear", "cosine"))
    assert linear.a(at(0.5)).square().item() == pytest.approx(0.0786, abs=1e-3)
    wanted = math.cos(0.508 / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert cosine.a(at(0.5)).square().item() == pytest.approx(wanted, rel=1e-6)


def test_vp_is_the_limit_of_ddpm():
    vp, ddpm = process({"name": "vp"}), process({"name": "ddpm"})
    t = inner(vp)
    torch.testing.assert_close(vp.a(t), ddpm.a(t), rtol=0.03, atol=1e-4)


def test_bbed_variance_is_its_integral_and_its_exponential_integrals():
    sde = process({"name": "bbed"})
    for t in (0.01, 0.3, 0.7, 0.99):
        by_quadrature = quad(lambda s: 2.6 ** (2 * s) / (1 - s) ** 2, 0, t)[0]
        variance = sde.sigma(at(t)).item() ** 2
        assert variance == pytest.approx(0.52 * (1 - t) ** 2 * by_quadrature, rel=1e-8)
        rate = math.log(2.6)
        difference = expi(2 * (t - 1) * rate) - expi(-2 * rate)
        bracket = 2.6 ** (2 * t) - 1 + t + 2 * 2.6**2 * rate * (1 - t) * difference
        assert variance == pytest.approx(0.52 * (1 - t) * bracket, rel=1e-8)


def test_exploding_kernel_starts_without_noise():
    """The usual sigma_min (sigma_max / sigma_min)^t is not the kernel of the SDE: it lacks the - 1."""
    sde = process({"name": "ve"})
    assert sde.sigma(at(0.0)).item() == 0
    assert sde.sigma(at(1.0)).item() == pytest.approx(math.sqrt(50**2 - 0.01**2))


@pytest.mark.parametrize("schedule", ["ve", "vp"])
def test_bridge_is_mu_at_its_end_and_noiseless_at_both(schedule):
    sde = process({"name": "bridge", "schedule": schedule})
    ends = at(0.0, 1.0)
    torch.testing.assert_close(sde.a(ends), at(1.0, 0.0))
    torch.testing.assert_close(sde.b(ends), at(0.0, 1.0))
    torch.testing.assert_close(sde.sigma(ends), at(0.0, 0.0))


def test_ouve_defaults_are_sgmse_s_in_two_real_channels():
    """A complex normal of std s has s^2 / 2 in each part."""
    ours = process({"name": "ouve"})
    theirs = process({"name": "ouve", "sigma_min": 0.05, "sigma_max": 0.5})
    t = inner(ours)
    torch.testing.assert_close(ours.sigma(t) * math.sqrt(2), theirs.sigma(t))
    torch.testing.assert_close(ours.linear(t)[2] * math.sqrt(2), theirs.linear(t)[2])
    total = 1.5 + math.log(10)
    variance = 0.05**2 * math.exp(-3) * (math.exp(2 * total) - 1) * math.log(10) / total
    assert theirs.sigma(at(1.0)).item() == pytest.approx(math.sqrt(variance))
    assert ours.a(at(1.0)).item() == pytest.approx(0.2231, abs=1e-4)


def test_edm_times_are_karras_grid():
    sde = process({"name": "edm"})
    sigma = sde.sigma(torch.linspace(1, 0, 18, dtype=torch.float64))
    n = torch.arange(18, dtype=torch.float64)
    karras = (80 ** (1 / 7) + n / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    torch.testing.assert_close(sigma, karras)


def test_noise_scale_is_the_standard_deviation_of_the_prior():
    sde = process({"name": "vp_mean"})
    mu = torch.full((2, 1, 20, 200), 3.0)
    draws = [sde.prior(mu, SeededNoise([1, 2]), scale) - mu for scale in (1.0, 0.5, 0.0)]
    torch.testing.assert_close(draws[1], draws[0] / 2, rtol=1e-4, atol=1e-6)
    assert draws[0].std().item() == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(draws[2], torch.zeros_like(mu))


@pytest.mark.parametrize("name", sorted(entries("sde")))
def test_prior_is_the_marginal_of_mu_or_of_zero(name):
    sde, mu = process({"name": name}), torch.full((1, 1, 4, 4), 2.0).double()
    start = sde.prior(mu, torch.zeros_like)
    last = at(sde.t_max)
    wanted = 2 * (sde.a(last) + sde.b(last)).item() if sde.centred else 0.0
    torch.testing.assert_close(start, torch.full_like(mu, wanted))
    shallow = sde.prior(mu, torch.zeros_like, t_start=0.4)
    wanted = 2 * (sde.a(at(0.4)) + sde.b(at(0.4))).item()
    torch.testing.assert_close(shallow, torch.full_like(mu, wanted))


def test_a_new_process_needs_two_functions_only():
    class Mine(SDE):
        def __init__(self):
            super().__init__(0.01, 1.0)

        def a(self, t):
            return torch.cos(t * math.pi / 2 * 0.99)

        def sigma(self, t):
            return torch.sin(t * math.pi / 2 * 0.99)

    sde = Mine()
    f, h, g = sde.linear(at(0.5))
    angle = math.pi / 2 * 0.99
    assert f.item() == pytest.approx(-angle * math.tan(angle / 2))
    assert h.item() == 0 and g.item() == pytest.approx(math.sqrt(2 * angle * math.tan(angle / 2)))


def test_invalid_ends_raise_one_line():
    with pytest.raises(ConfigError, match=r"0 <= t_min < t_max <= 1, found 0\.5 and 0\.4"):
        Flow(t_min=0.5, t_max=0.4)
    with pytest.raises(ConfigError, match="infinite at 1"):
        process({"name": "bbed", "t_max": 1.0})


@pytest.mark.parametrize("steps", [1, 2, 3, 50, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_discrete_schedule_is_interpolated_by_monotone_cubics(steps, schedule):
    sde = build("sde", {"name": "ddpm", "steps": steps, "schedule": schedule})
    t = torch.linspace(1e-3, 1, 777, dtype=torch.float64)
    reference = PchipInterpolator(np.arange(steps + 1), sde.log_a.numpy())(t.numpy() * steps)
    np.testing.assert_allclose(sde.a(t).log(), reference, rtol=1e-11, atol=1e-13)
