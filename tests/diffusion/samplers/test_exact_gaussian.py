"""Samplers on Gaussian data with closed-form solutions: orders, biases, and the NFE for 1 % error."""

import math

import pytest
import torch

from voicediff.diffusion.gaussian import GaussianData
from voicediff.diffusion.samplers.base import Node, SamplingRun
from voicediff.diffusion.sdes import SDE
from voicediff.registry import build, entries

DATA = GaussianData(mean=1.0, std=0.5, mu=0.3)
SDES = sorted(entries("sde"))
LOW, HIGH = 0.05, 0.95  # inside the path: at its ends slopes in t can be infinite

# (sampler, order). Multistep methods start with lower orders, which limits the measured order: 3M and
# DEIS are of third order after a second-order start. UniPC's corrector adds one.
FIRST = [
    ({"name": "euler"}, 1),
    ({"name": "euler_maruyama"}, 1),
    ({"name": "ancestral"}, 1),
    ({"name": "ddim"}, 1),
    ({"name": "ddim", "eta": 0.5}, 1),
    ({"name": "bridge"}, 1),
    ({"name": "bridge", "stochastic": False}, 1),
    ({"name": "dpm_solver", "order": 1}, 1),
    ({"name": "deis", "order": 1}, 1),
]
HIGHER = [
    ({"name": "heun"}, 2),
    ({"name": "edm"}, 2),
    ({"name": "plms"}, 2),
    ({"name": "deis", "order": 2}, 2),
    ({"name": "deis", "order": 3}, 2),
    ({"name": "dpm_solver", "order": 2}, 2),
    ({"name": "dpm_solver", "order": 3}, 2),
    ({"name": "dpm_solver", "stochastic": True}, 2),
    ({"name": "unipc", "order": 1}, 2),
    ({"name": "unipc", "order": 2}, 3),
    ({"name": "unipc", "order": 3}, 3),
]


def inner(name: str) -> SDE:
    return build("sde", {"name": name, "t_min": LOW, "t_max": HIGH})


def error(
    spec: dict, sde: SDE, steps: int, data: GaussianData = DATA, close: str = "none"
) -> float:
    """W2 in units of the data's std: against x at t_min, or the data with a closing step."""
    sampler = build("sampler", {**spec, "steps": steps, "close": close})
    return data.error(sampler, sde, sde.t_min if close == "none" else 0.0)


def test_every_sampler_has_an_expected_order():
    held = {spec["name"] for spec, _ in FIRST + HIGHER}
    # consistency sampling needs a consistency model: tested in test_distillation.py
    assert held | {"rk45", "predictor_corrector", "consistency"} == set(entries("sampler"))


@pytest.mark.parametrize("name", SDES)
@pytest.mark.parametrize(("spec", "order"), FIRST, ids=str)
def test_error_is_inversely_proportional_to_the_steps(spec, order, name):
    steps = 48 if spec["name"] == "euler" else 16
    coarse, fine = (error(spec, inner(name), n) for n in (steps, 2 * steps))
    assert fine < 0.3
    assert math.log2(coarse / fine) > order - 0.3


@pytest.mark.parametrize("name", SDES)
@pytest.mark.parametrize(("spec", "order"), HIGHER, ids=str)
def test_error_falls_with_the_order_of_the_sampler(spec, order, name):
    steps = 64 if spec["name"] == "dpm_solver" or spec.get("order") == 3 else 32
    coarse, fine = (error(spec, inner(name), n) for n in (steps, 2 * steps))
    assert fine < 0.03
    assert math.log2(coarse / fine) > order - 0.35 or fine < 1e-6


def test_third_order_is_more_accurate_than_second():
    for name in SDES:
        for sampler in ("deis", "unipc"):
            two, three = (error({"name": sampler, "order": o}, inner(name), 32) for o in (2, 3))
            assert three < two / 2


@pytest.mark.parametrize("name", SDES)
@pytest.mark.parametrize("schedule", sorted(entries("grid")))
def test_every_grid_converges_to_the_same_result(schedule, name):
    spec = {"name": "dpm_solver", "grid": {"name": schedule}}
    assert error(spec, inner(name), 100) < 5e-3


# -- NFE for 1 % of W2, from the true marginal at t_max, data N(1, s^2) ------------------------------


@pytest.mark.parametrize(
    ("spec", "std", "expected"),
    [
        ({"name": "euler", "midtime": True}, 0.5, 89),
        ({"name": "euler"}, 0.5, 81),
        ({"name": "heun"}, 0.5, 9),
        ({"name": "heun"}, 0.1, 29),
    ],
    ids=str,
)
def test_steps_to_one_percent_of_one_step_methods_on_vp_mean(spec, std, expected):
    sde, data = build("sde", {"name": "vp_mean"}), GaussianData(1.0, std)
    fewer, enough = (
        data.error(
            build("sampler", {**spec, "steps": n, "close": "none"}),
            sde,
            0.0 if "midtime" in spec else sde.t_min,
        )
        for n in (expected - 1, expected)
    )
    assert enough < 0.01 < fewer


@pytest.mark.parametrize(("std", "expected"), [(0.5, 24), (0.1, 23)])
def test_dpm_solver_is_within_one_percent_at_nfe_24_on_vp_mean(std, expected):
    sde, data = build("sde", {"name": "vp_mean"}), GaussianData(1.0, std)
    errors = [error({"name": "dpm_solver"}, sde, n, data) for n in range(expected - 1, 41)]
    assert errors[0] > 0.01 > max(errors[1:])


def test_ancestral_sampling_needs_hundreds_of_evaluations():
    sde, data = build("sde", {"name": "vp_mean"}), GaussianData(1.0, 0.5)
    assert error({"name": "ancestral"}, sde, 400, data) > 0.01
    assert error({"name": "ancestral"}, sde, 493, data) < 0.01


def test_dpm_solver_needs_nfe_6_on_ouve():
    sde = build("sde", {"name": "ouve", "sigma_min": 0.05, "sigma_max": 0.5})
    data = GaussianData(1.0, 0.1)
    errors = {n: error({"name": "dpm_solver"}, sde, n, data) for n in (4, 6, 7, 8)}
    assert errors[4] > 0.03 and max(errors[n] for n in (6, 7, 8)) < 0.01


@pytest.mark.parametrize(("offset", "expected"), [(0.3, 85), (1.0, 284)])
def test_reverse_diffusion_on_ouve_needs_nfe_in_proportion_to_the_distance(offset, expected):
    """Its error is that of the mean, |E x0 - mu| at the start; DPM-Solver++ integrates it exactly."""
    sde = build("sde", {"name": "ouve", "sigma_min": 0.05, "sigma_max": 0.5})
    data = GaussianData(offset, 0.1)
    reverse = {"name": "euler_maruyama", "grid": {"name": "uniform"}}
    assert error(reverse, sde, expected - 1, data) > 0.01 > error(reverse, sde, expected, data)
    assert error({"name": "dpm_solver"}, sde, 6, data) < 0.001


def test_dpm_solver_needs_its_log_snr_grid():
    """On the uniform grid DPM-Solver++ is worse than Euler at few steps."""
    sde, solver = build("sde", {"name": "vp_mean"}), {"name": "dpm_solver"}
    data = GaussianData(1.0, 0.5)
    uniform = error({**solver, "grid": {"name": "uniform"}}, sde, 12, data)
    assert uniform > 5 * error({"name": "euler"}, sde, 12, data) > 5 * error(solver, sde, 12, data)


# -- the practical prior of ouve: a(1) = 0.22, it does not reach mu -----------------------------------


def from_practical_prior(spec: dict, offset: float) -> float:
    sde = build("sde", {"name": "ouve", "sigma_min": 0.05, "sigma_max": 0.5})
    data = GaussianData(mean=offset, std=0.1)
    start = (0.0, sde.sigma(torch.ones(1).double()).item())
    mean, std = data.sampled(build("sampler", {**spec, "close": "none"}), sde, start)
    true_mean, true_std = data.marginal(sde, sde.t_min)
    return math.hypot(mean - true_mean, std - true_std) / data.std


def test_ode_solvers_keep_the_error_of_the_prior_mean():
    near, far = (
        from_practical_prior({"name": "dpm_solver", "steps": 100}, offset) for offset in (0.1, 0.3)
    )
    assert near == pytest.approx(0.056, abs=0.003) and far == pytest.approx(0.17, abs=0.005)


def test_error_of_the_prior_mean_decays_with_stochastic_solvers():
    solver = {"name": "dpm_solver", "steps": 8, "stochastic": True}
    assert from_practical_prior(solver, 0.3) < 0.0101
    corrected = {"name": "predictor_corrector", "steps": 30}  # NFE 60
    assert 0.01 < from_practical_prior(corrected, 0.3) < 0.025


# -- predictor-corrector ------------------------------------------------------------------------------


def test_langevin_correction_converges_to_its_known_variance():
    """With step size e = 2 (r sigma)^2 at one time the variance converges to V / (1 - e / 2V)."""
    sde, t, r, steps = build("sde", {"name": "vp_mean"}), 0.3, 0.4, 200
    sampler = build("sampler", {"name": "predictor_corrector", "snr": r})
    (mean, std), node = DATA.marginal(sde, t), Node.at(sde, t)
    impulses = iter(torch.eye(steps, steps + 1, dtype=torch.float64)[:, :, None])
    run = SamplingRun(
        DATA.estimate(sde), sde, torch.tensor(DATA.mu), [t], lambda x: next(impulses), None
    )
    x = torch.full((steps + 1, 1), mean, dtype=torch.float64)
    for _ in range(steps):
        x = sampler.corrected(run, x, node)
    variance = (x[:-1] - x[-1]).square().sum().item()
    assert x[-1].item() == pytest.approx(mean)
    assert variance == pytest.approx(std**2 / (1 - (r * node.sigma / std) ** 2))


@pytest.mark.parametrize("name", ["vp_mean", "vp", "ddpm", "subvp", "flow"])
def test_bias_of_predictor_corrector_is_bounded_by_its_corrector(name):
    """For many steps the mean is exact and the Langevin steps at the end inflate the std: with
    q = (r sigma)^2 / V there, by at most 1 / sqrt(1 - q), V = a^2 s^2 + sigma^2."""
    sde, r = inner(name), 0.5
    sampler = build(
        "sampler", {"name": "predictor_corrector", "steps": 100, "snr": r, "close": "none"}
    )
    mean, std = DATA.sampled(sampler, sde)
    true_mean, true_std = DATA.marginal(sde, LOW)
    late = LOW + 0.05  # the corrector acts at the nodes before the last
    q = max(
        (r * sde.sigma(torch.tensor([t]).double()).item()) ** 2 / DATA.marginal(sde, t)[1] ** 2
        for t in (LOW, late)
    )
    assert abs(mean - true_mean) < 0.01 * DATA.std
    assert 0.98 * true_std < std < true_std / math.sqrt(1 - q) * 1.02


def test_predictor_corrector_without_corrections_is_euler_maruyama():
    sde = inner("ouve")
    bare = {"name": "predictor_corrector", "corrections": 0}
    assert error(bare, sde, 20) == pytest.approx(error({"name": "euler_maruyama"}, sde, 20))


# -- adaptive steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SDES)
def test_rk45_error_follows_its_tolerance(name):
    errors = []
    for tolerance in (1e-3, 1e-5):
        sampler = build("sampler", {"name": "rk45", "tolerance": tolerance, "close": "none"})
        errors.append(DATA.error(sampler, inner(name), LOW))
    assert errors[0] < 3e-2 and errors[1] < 1e-3
    assert errors[1] < errors[0] / 10
