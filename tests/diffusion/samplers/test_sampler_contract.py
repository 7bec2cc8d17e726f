"""The contract of samplers, and regression tests for mistakes of other implementations."""

import math

import pytest
import torch

from voicediff.diffusion.gaussian import GaussianData
from voicediff.diffusion.noise import SeededNoise
from voicediff.diffusion.objectives import Estimate
from voicediff.errors import ConfigError
from voicediff.registry import build, entries

SAMPLERS = sorted(entries("sampler"))
CLOSES = ("data", "none")


class RecordedEstimate:
    """Exact estimates of Gaussian data that record the times of their evaluations."""

    def __init__(self, sde, data=GaussianData(0.5, 0.4)):
        self.exact, self.times = data.estimate(sde), []

    def __call__(self, x, t):
        self.times.append(t)
        return self.exact(x, t)


def sampled(sampler, sde, seeds=(1,), **options):
    estimate = RecordedEstimate(sde)
    x = SeededNoise(seeds)(torch.zeros(len(seeds), 1))
    x0 = sampler(estimate, sde, torch.zeros_like(x), x=x, noise=SeededNoise(seeds), **options)
    return x0, estimate


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "rk45"])
def test_nfe_is_the_number_of_evaluations_made(name, close):
    sde = build("sde", {"name": "vp_mean"})
    for steps in (1, 2, 3, 7):
        sampler = build("sampler", {"name": name, "steps": steps, "close": close})
        reports = []
        x0, estimate = sampled(sampler, sde, callback=reports.append)
        assert sampler.nfe == len(estimate.times) == reports[-1].nfe
        assert len(reports) == reports[-1].step == reports[-1].steps == steps
        assert x0.isfinite().all()
    assert reports[-1].t == (sde.t_min if close == "none" else 0)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "rk45"])
@pytest.mark.parametrize("nfe", [2, 3, 4, 10, 50])
def test_with_nfe_stays_within_the_budget_and_uses_nearly_all_of_it(name, nfe):
    sampler = build("sampler", {"name": name}).with_nfe(nfe)
    _, estimate = sampled(sampler, build("sde", {"name": "ouve"}))
    assert len(estimate.times) == sampler.nfe and nfe - 1 <= sampler.nfe <= nfe


def test_nfe_1_is_the_data_estimate_at_the_start():
    sde = build("sde", {"name": "flow"})
    for name in ("euler", "heun", "ddim", "dpm_solver", "unipc", "deis", "plms", "edm", "bridge"):
        sampler = build("sampler", {"name": name}).with_nfe(1)
        x0, estimate = sampled(sampler, sde)
        x = SeededNoise([1])(torch.zeros(1, 1))
        torch.testing.assert_close(x0, estimate.exact(x, torch.tensor([sde.t_max])).data)


def test_invalid_nfe_steps_and_orders_raise():
    with pytest.raises(ConfigError, match="needs at least nfe 2, found 1"):
        build("sampler", {"name": "predictor_corrector"}).with_nfe(1)
    with pytest.raises(ConfigError, match="RK45 is adaptive"):
        build("sampler", {"name": "rk45"}).with_nfe(10)
    with pytest.raises(ConfigError, match="1 or more, found 0"):
        build("sampler", {"name": "heun", "steps": 0})
    with pytest.raises(ConfigError, match="found 4"):
        build("sampler", {"name": "dpm_solver", "order": 4})
    with pytest.raises(ConfigError, match="t_start: must be above"):
        sampled(build("sampler", {"name": "euler"}), build("sde", {"name": "vp"}), t_start=1.5)


def test_rk45_stops_at_max_calls_with_one_line():
    sampler = build("sampler", {"name": "rk45", "tolerance": 1e-9, "max_calls": 50})
    with pytest.raises(ConfigError, match="increase the tolerance"):
        sampled(sampler, build("sde", {"name": "vp"}))


@pytest.mark.parametrize("name", SAMPLERS)
def test_shallow_start_begins_at_t_start(name):
    sde = build("sde", {"name": "vp"})
    _, estimate = sampled(build("sampler", {"name": name}), sde, t_start=0.3)
    times = torch.cat(estimate.times)
    assert times[0] == pytest.approx(0.3) and times.max() < 0.3001
    assert times.min() >= sde.t_min - 1e-6


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("process", ["flow", "bridge"])
def test_paths_may_start_at_zero_signal(process, name):
    """a(1) = 0 and lambda = -inf; on the bridge sigma(1) = 0 as well."""
    sde = build("sde", {"name": process, "t_max": 1.0})
    options = {} if name == "rk45" else {"steps": 8}
    estimate = GaussianData(0.5, 0.4, mu=2.0).estimate(sde)
    x = torch.full((3, 1), 2.0) + (
        SeededNoise([1, 2, 3])(torch.zeros(3, 1)) if process == "flow" else 0
    )
    mu = torch.full_like(x, 2.0)
    sampler = build("sampler", {"name": name, **options})
    of_t = {"euler", "heun", "rk45"} if process == "bridge" else set()
    if name in of_t | {"euler_maruyama", "predictor_corrector"}:
        with pytest.raises(ConfigError, match="is infinite at t = 1; move this end of the path"):
            sampler(estimate, sde, mu, x=x, noise=SeededNoise([4, 5, 6]))
        return
    x0 = sampler(estimate, sde, mu, x=x, noise=SeededNoise([4, 5, 6]))
    assert x0.isfinite().all() and (x0 - 0.5).abs().max() < 2.0


def test_bridge_from_mu_samples_with_sde_and_regresses_with_ode():
    """From exactly mu at t = 1 the ODE gives E[x0 | mu] with variance 0, the SDE all of x0's variance."""
    sde, data = build("sde", {"name": "bridge", "t_max": 1.0}), GaussianData(0.5, 0.4, mu=2.0)
    for stochastic, wanted in ((False, 0.0), (True, 0.4)):
        spec = {"name": "bridge", "steps": 200, "stochastic": stochastic}
        mean, std = data.sampled(build("sampler", spec), sde, start=(2.0, 0.0))
        assert mean == pytest.approx(0.5, abs=1e-3) and std == pytest.approx(wanted, abs=0.02)
    inside = build("sde", {"name": "bridge"})
    ode = build("sampler", {"name": "dpm_solver", "steps": 30})
    mean, std = data.sampled(ode, inside)  # from b mu + sigma z at t_max: a sampler
    assert mean == pytest.approx(0.5, abs=2e-3) and std == pytest.approx(0.4, abs=5e-3)


@pytest.mark.parametrize("schedule", ["ve", "vp"])
def test_bridge_steps_equal_the_published_equations(schedule):
    """Jukic et al. 2024, Eq. 12 (SDE) and 13 (ODE), in the paper's alpha, sigma and sigma-bar."""
    sde = build("sde", {"name": "bridge", "schedule": schedule})
    s, t = torch.tensor([0.7]).double(), torch.tensor([0.4]).double()
    (als, alt), (ss, st) = ((f(s), f(t)) for f in (sde.alpha, lambda u: sde.s2(u).sqrt()))
    bs, bt = sde.sbar2(s).sqrt(), sde.sbar2(t).sqrt()
    one = torch.ones(1).double()
    al1, s1 = sde.alpha(one), sde.s2(one).sqrt()
    x, y, x0, z = torch.randn(4, 1, 1, dtype=torch.float64, generator=torch.manual_seed(0))

    def estimate(x, t):
        from voicediff.diffusion.objectives import from_data

        return from_data(x0, sde, x, y, t)

    class TwoTimes:
        def __call__(self, *_):
            return torch.cat([s, t])

    for stochastic in (True, False):
        spec = {"name": "bridge", "steps": 1, "stochastic": stochastic, "close": "none"}
        sampler = build("sampler", spec)
        sampler.grid = TwoTimes()
        ours = sampler(estimate, sde, y, x=x, noise=lambda like: z)
        if stochastic:
            ratio = (st / ss) ** 2
            theirs = alt / als * ratio * x + alt * (1 - ratio) * x0
            theirs = theirs + alt * st * (1 - ratio).sqrt() * z
        else:
            theirs = alt * st * bt / (als * ss * bs) * x
            theirs = theirs + alt / s1**2 * (bt**2 - bs * st * bt / ss) * x0
            theirs = theirs + alt / s1**2 * (st**2 - ss * st * bt / bs) * y / al1
        torch.testing.assert_close(ours, theirs)


def test_the_network_is_evaluated_at_the_time_of_the_state():
    """On a bridge, evaluation at the new time with the old state biases the variance."""
    sde, data = build("sde", {"name": "bridge"}), GaussianData(0.5, 0.4, mu=2.0)
    sampler = build("sampler", {"name": "bridge", "steps": 100})
    exact = data.estimate(sde)

    def ahead(x, t):
        t = (t - (sde.t_max - sde.t_min) / 99).clamp(min=sde.t_min)
        return exact(x, t)

    x = torch.full((2000, 1), 2.0).double()
    noise = torch.Generator().manual_seed(0)

    def draw(like):
        return torch.randn(like.shape, generator=noise, dtype=like.dtype)

    mean, std = data.sampled(sampler, sde)
    assert mean == pytest.approx(0.5, abs=0.01) and std == pytest.approx(0.4, abs=0.03)
    biased = sampler(ahead, sde, torch.full_like(x, 2.0), x=x, noise=draw)
    assert abs(biased.std().item() - 0.4) > 0.05 or abs(biased.mean().item() - 0.5) > 0.05


def test_euler_at_midtimes_equals_the_gradtts_loop():
    """x - (mu - x - score) beta h / 2 at t = 1 - (i + 1/2) h, written as in the paper."""
    sde, data = build("sde", {"name": "vp_mean"}), GaussianData(1.0, 0.3, mu=0.2)
    steps, exact = 6, data.estimate(sde)
    x = torch.tensor([[0.9], [-0.4]]).double()
    mu, ours = torch.full_like(x, 0.2), x
    h = 1 / steps
    for i in range(steps):
        t = torch.full((2,), 1 - (i + 0.5) * h).double()
        score = -exact(ours, t).noise / sde.sigma(t)[:, None]
        beta = (0.05 + (20 - 0.05) * t)[:, None]
        ours = ours - 0.5 * (mu - ours - score) * beta * h
    sampler = build("sampler", {"name": "euler", "steps": steps, "midtime": True})
    theirs = sampler(exact, sde, mu, x=x, noise=torch.zeros_like)
    torch.testing.assert_close(ours, theirs)


def test_dpm_solver_of_first_order_is_ddim():
    sde, data = build("sde", {"name": "ve"}), GaussianData(1.0, 0.3)
    results = [
        data.sampled(build("sampler", {"name": name, "steps": 9, **options}), sde)
        for name, options in (("ddim", {}), ("dpm_solver", {"order": 1}))
    ]
    assert results[0] == pytest.approx(results[1], rel=1e-9)


def test_ancestral_steps_draw_from_the_posterior():
    """For data that is one point, x_t has the exact marginal for any steps."""
    sde = build("sde", {"name": "vp"})
    point = GaussianData(mean=0.7, std=1e-9)
    sampler = build("sampler", {"name": "ancestral", "steps": 5, "close": "none"})
    mean, std = point.sampled(sampler, sde)
    assert (mean, std) == pytest.approx(point.marginal(sde, sde.t_min), rel=1e-6)


def test_churn_keeps_the_marginal():
    data, sde = GaussianData(1.0, 0.5), build("sde", {"name": "vp_mean"})
    for churn in (0.0, 30.0):
        sampler = build("sampler", {"name": "edm", "steps": 40, "churn": churn, "close": "none"})
        assert data.error(sampler, sde, sde.t_min) < 0.04


@pytest.mark.parametrize("name", SAMPLERS)
def test_items_are_independent_of_the_batch(name):
    """Including the Langevin corrector with norms, which other implementations average over the batch."""
    sde = build("sde", {"name": "ouve"})
    variants = [{"name": name}]
    if name == "predictor_corrector":
        variants = [{"name": name, "corrector": "norm", "snr": 0.1}]
    for spec in variants:
        sampler = build("sampler", spec)
        alone, _ = sampled(sampler, sde, seeds=[3])
        scaled = RecordedEstimate(sde, GaussianData(20.0, 5.0))

        def mixed(x, t, scaled=scaled, plain=RecordedEstimate(sde)):
            near, far = plain(x[:1], t[:1]), scaled(x[1:], t[1:])
            return Estimate(torch.cat([near.data, far.data]), torch.cat([near.noise, far.noise]))

        x = SeededNoise([3, 4])(torch.zeros(2, 1))
        both = sampler(mixed, sde, torch.zeros_like(x), x=x, noise=SeededNoise([3, 4]))
        torch.testing.assert_close(both[:1], alone, rtol=1e-6, atol=1e-6)


def test_norm_corrector_steps_by_the_ratio_of_norms():
    sde = build("sde", {"name": "vp"})
    sampler = build("sampler", {"name": "predictor_corrector", "corrector": "norm", "snr": 0.2})
    from voicediff.diffusion.samplers.base import Node, SamplingRun

    node, noise = Node.at(sde, 0.5), torch.tensor([[3.0, 4.0]])
    predicted = Estimate(torch.zeros(1, 2), torch.tensor([[0.6, 0.8]]))
    run = SamplingRun(lambda x, t: predicted, sde, torch.zeros(1, 2), [0.5], lambda x: noise, None)
    moved = sampler.corrected(run, torch.zeros(1, 2), node)
    size = 2 * (0.2 * 5 * node.sigma) ** 2  # |z| / |score| = 5 sigma
    wanted = -size * predicted.noise / node.sigma + math.sqrt(2 * size) * noise
    torch.testing.assert_close(moved, wanted)


def test_grids_decrease_between_the_ends_with_their_spacing():
    sde = build("sde", {"name": "edm"})
    grids = {name: build("grid", {"name": name}) for name in entries("grid")}
    for grid in grids.values():
        times = grid(sde, 12, 0.9, 0.1)
        assert len(times) == 13 and times[0] == 0.9 and times[-1] == 0.1
        assert (times.diff() < 0).all()
        assert grid(sde, 0, 0.9, 0.1).tolist() == [0.9]
    karras, uniform = (grids[name](sde, 12, 0.9, 0.1) for name in ("karras", "uniform"))
    torch.testing.assert_close(karras, uniform, rtol=1e-6, atol=1e-9)  # t of edm is Karras' time
    log_snr_steps = sde.log_snr(grids["log_snr"](sde, 12, 0.9, 0.1)).diff()
    torch.testing.assert_close(log_snr_steps, log_snr_steps.mean().expand(12), rtol=1e-6, atol=0)
    roots = grids["quadratic"](sde, 12, 0.9, 0.1).sqrt().diff()
    torch.testing.assert_close(roots, roots.mean().expand(12))
