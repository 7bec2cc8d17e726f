"""Objectives: estimates from exact targets, weights, and the ends of the path."""

import pytest
import torch

from voicediff.diffusion.objectives import Estimate
from voicediff.errors import ConfigError
from voicediff.networks.layers import per_item
from voicediff.registry import build, entries

SDES, OBJECTIVES = sorted(entries("sde")), sorted(entries("objective"))
FINITE_AT_THE_END = ("data", "v", "edm")


def case(name: str, objective: str, seed: int = 0, **ends):
    sde, task = build("sde", {"name": name, **ends}), build("objective", {"name": objective})
    draw = torch.Generator().manual_seed(seed)
    t = torch.linspace(sde.t_min, sde.t_max, 9)
    x0, mu, z = (torch.randn(9, 1, 3, 5, generator=draw) for _ in range(3))
    mean, sigma = sde.marginal(x0.double(), mu.double(), t.double())
    x = (mean + per_item(sigma, mean) * z).float()
    return sde, task, t, x0, mu, z, x


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SDES)
def test_the_estimate_from_the_target_is_data_and_noise(name, objective):
    sde, task, t, x0, mu, z, x = case(name, objective)
    task.require(sde)
    thought = task.estimate(task.target(sde, x0, mu, t, z), sde, x, mu, t)
    # float32 rounds the target to 1e-7 of its terms, so the estimates are accurate to 1e-7 / a, 1e-7 / sigma
    a, sigma = (per_item(f(t), x) for f in (sde.a, sde.sigma))
    size = x.abs() + a * x0.abs() + mu.abs() + sigma * z.abs()
    assert ((thought.data - x0).abs() <= 3e-6 * (size / a + 1)).all()
    assert ((thought.noise - z).abs() <= 3e-6 * (size / sigma + 1)).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SDES)
def test_data_and_noise_add_up_to_x_for_any_output(name, objective):
    sde, task, t, x0, mu, _, x = case(name, objective)
    answer = torch.randn_like(x0)
    thought = task.estimate(answer, sde, x, mu, t)
    again, sigma = sde.marginal(thought.data.double(), mu.double(), t.double())
    again = again + per_item(sigma, again) * thought.noise
    size = x.abs() + thought.data.abs() + per_item(sigma, again) * thought.noise.abs() + 1
    assert ((again - x).abs() <= 1e-5 * size).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SDES)
def test_gain_is_the_ratio_of_data_error_to_output_error(name, objective):
    sde, task, t, x0, mu, z, x = (
        v.double() if isinstance(v, torch.Tensor) else v for v in case(name, objective)
    )
    answer = task.target(sde, x0, mu, t, z)
    moved = (
        task.estimate(answer + 1, sde, x, mu, t).data - task.estimate(answer, sde, x, mu, t).data
    )
    torch.testing.assert_close(
        moved[:, 0, 0, 0].abs(), task.gain(sde, t).abs(), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("objective", FINITE_AT_THE_END)
@pytest.mark.parametrize("name", ["flow", "bridge"])
def test_data_v_and_edm_are_finite_at_zero_signal(name, objective):
    sde, task, t, x0, mu, z, x = case(name, objective, t_max=1.0)
    task.require(sde)
    thought = task.estimate(task.target(sde, x0, mu, t, z), sde, x, mu, t)
    torch.testing.assert_close(thought.data[-1], x0[-1], rtol=1e-4, atol=1e-4)
    assert thought.noise.isfinite().all() and task.inputs(sde, x, mu, t)[0].isfinite().all()


@pytest.mark.parametrize(
    ("name", "ends", "objective", "reason"),
    [
        ("flow", {"t_max": 1.0}, "noise", r"divides by a\(t\), which is 0 at t = 1 of Flow"),
        ("bridge", {"t_max": 1.0}, "noise", r"divides by a\(t\)"),
        ("flow", {"t_max": 1.0}, "score", r"divides by a\(t\)"),
        ("bridge", {"t_max": 1.0}, "velocity", r"contains sigma'\(t\), which is infinite at t = 1"),
        ("vp_mean", {"t_min": 0.0}, "velocity", r"sigma'\(t\).* at t = 0 .*sde.t_min"),
        ("vp", {"t_min": 0.0}, "score", r"divides by sigma\(t\), which is 0 at t = 0"),
    ],
)
def test_undefined_combinations_raise_one_line(name, ends, objective, reason):
    with pytest.raises(ConfigError, match=reason) as refusal:
        build("objective", {"name": objective}).require(build("sde", {"name": name, **ends}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", SDES)
def test_every_objective_is_finite_on_every_default_path(name):
    sde = build("sde", {"name": name})
    for objective in OBJECTIVES:
        build("objective", {"name": objective}).require(sde)


@pytest.mark.parametrize("name", SDES)
def test_edm_input_and_target_have_unit_variance(name):
    """Exactly, from the coefficients: r ~ N(0, s^2), z ~ N(0, 1)."""
    sde, s = build("sde", {"name": name}), 0.3
    task = build("objective", {"name": "edm", "sigma_data": s})
    t = torch.linspace(sde.t_min, sde.t_max, 9, dtype=torch.float64)
    zero, one = torch.zeros(9, 1, 1, 1).double(), torch.ones(9, 1, 1, 1).double()
    a, sigma = (per_item(f(t), zero) for f in (sde.a, sde.sigma))
    by_data, by_noise = (task.inputs(sde, x, zero, t)[0] for x in (a * s, sigma))
    torch.testing.assert_close(by_data.square() + by_noise.square(), one)
    by_data = task.target(sde, s * one, zero, t, zero)
    by_noise = task.target(sde, zero, zero, t, one)
    torch.testing.assert_close(by_data.square() + by_noise.square(), one)


def test_edm_on_the_edm_process_is_karras_preconditioning():
    sde, s = build("sde", {"name": "edm"}), 0.5
    task = build("objective", {"name": "edm", "time": "log_sigma"})
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    sigma = per_item(sde.sigma(t), torch.zeros(9, 1, 1, 1))
    x, answer, mu = torch.randn(3, 9, 1, 2, 2, dtype=torch.float64)
    mu = 0 * mu
    x_in, time_in = task.inputs(sde, x, mu, t)
    total = sigma**2 + s**2
    torch.testing.assert_close(x_in, x / total.sqrt())
    torch.testing.assert_close(time_in, sde.sigma(t).log() / 4)
    wanted = s**2 / total * x + sigma * s / total.sqrt() * answer
    torch.testing.assert_close(task.estimate(answer, sde, x, mu, t).data, wanted)


def test_v_equals_salimans_and_ho_on_a_variance_preserving_process():
    sde, task, t, x0, mu, z, _ = case("vp", "v")
    a, sigma = (per_item(f(t), x0) for f in (sde.a, sde.sigma))
    torch.testing.assert_close(
        task.target(sde, x0, mu, t, z), a * z - sigma * x0, atol=1e-5, rtol=1e-4
    )


def test_velocity_on_a_flow_is_noise_minus_data():
    sde, task, t, x0, mu, z, _ = case("flow", "velocity", sigma_min=0.0)
    torch.testing.assert_close(task.target(sde, x0, mu, t, z), mu + z - x0)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_weightings_convert_the_error_to_data_or_noise(objective):
    """An error e of the output is gain e of the data and (a / sigma) gain e of the noise."""
    sde = build("sde", {"name": "vp_mean"})
    t = torch.linspace(sde.t_min, sde.t_max, 9, dtype=torch.float64)
    gain = build("objective", {"name": objective}).gain(sde, t)
    snr = (2 * sde.log_snr(t)).exp()
    _, _, g = sde.linear(t)
    wanted = {
        "answer": torch.ones_like(t),
        "data": gain**2,
        "noise": gain**2 * snr,
        "min_snr": gain**2 * snr.clamp(max=5),
        "sigmoid": gain**2 * snr * torch.sigmoid(2 - snr.log()),
        "likelihood": gain**2 * snr * (g / sde.sigma(t)) ** 2,
    }
    for weighting, weight in wanted.items():
        task = build("objective", {"name": objective, "weighting": weighting})
        torch.testing.assert_close(task.weight(sde, t), weight)


def test_scaled_inputs_have_unit_variance_for_unit_data():
    sde = build("sde", {"name": "ve"})
    t = torch.linspace(sde.t_min, sde.t_max, 9, dtype=torch.float64)
    zero = torch.zeros(9, 1, 1, 1).double()
    for view in ("unit", "residual"):
        task = build("objective", {"name": "noise", "input": view})
        parts = [task.inputs(sde, per_item(f(t), zero), zero, t)[0] for f in (sde.a, sde.sigma)]
        torch.testing.assert_close(sum(p.square() for p in parts), zero + 1)


def test_estimate_is_a_pair():
    pair = Estimate(torch.zeros(1), torch.ones(1))
    assert pair.data.item() == 0 and pair.noise.item() == 1
