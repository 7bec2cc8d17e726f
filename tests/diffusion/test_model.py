"""The diffusion model: additive losses, masks, dropping, guidance, inpainting, windows, progress."""

import pytest
import torch
from torch import nn

from voicediff.decoders import Decoder
from voicediff.decoders.base import Prepared
from voicediff.diffusion.gaussian import GaussianData
from voicediff.diffusion.guidance import GuidanceTerm, Known, Windows
from voicediff.diffusion.model import Diffusion
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.registry import build


class PreparedInputs(Prepared):
    def __init__(self, mu, cond, mask):
        self.mu, self.cond, self.mask = mu, cond, mask


class Small(Decoder):
    """A frame-wise network with every kind of condition; counts its evaluations."""

    def __init__(self, channels: int = 1):
        super().__init__()
        torch.manual_seed(0)
        self.mix = nn.Conv2d(3 * channels, channels, (3, 1), padding=(1, 0))
        self.frames, self.vector = nn.Linear(2, 1), nn.Linear(3, 1)
        self.prepared = self.evaluated = 0

    def prepare(self, mu, cond, mask):
        self.prepared += 1
        return PreparedInputs(mu, cond, mask)

    def evaluate(self, x_in, time_in, prepared):
        self.evaluated += 1
        cond, mask = prepared.cond, prepared.mask
        maps = cond.maps.get("harmonics", torch.zeros_like(x_in))
        y = self.mix(torch.cat([x_in, prepared.mu, maps], 1)) + time_in[:, None, None, None]
        if "lips" in cond.frames:
            y = y + self.frames(cond.frames["lips"]).movedim(-1, 1)[:, None]
        if "singer" in cond.vector:
            y = y + self.vector(cond.vector["singer"])[:, :, None, None]
        return torch.tanh(y) * mask[:, None, None]


class Perfect(Decoder):
    """Predicts the exact posterior mean of Gaussian data."""

    def __init__(self, sde, objective, data):
        super().__init__()
        self.estimate, self.data = data.estimate(sde), data

    def prepare(self, mu, cond, mask):
        return PreparedInputs(mu, cond, mask)

    def evaluate(self, x_in, time_in, prepared):
        flat = self.estimate(x_in.reshape(len(x_in), -1), time_in).data
        return flat.reshape(x_in.shape)


def model(sde="vp_mean", objective="data", **options) -> Diffusion:
    return Diffusion(
        Small(), build("sde", {"name": sde}), build("objective", {"name": objective}), **options
    )


def batch(size: int = 3, frames: int = 12, lengths=(12, 7, 3)):
    draw = torch.Generator().manual_seed(1)
    x0, mu, comb = (torch.randn(size, 1, 4, frames, generator=draw) for _ in range(3))
    lips, singer = (
        torch.randn(size, frames, 2, generator=draw),
        torch.randn(size, 3, generator=draw),
    )
    cond = Conditions(maps={"harmonics": comb}, frames={"lips": lips}, vector={"singer": singer})
    return x0, mu, cond, length_mask(torch.tensor(lengths[:size]), frames)


def rows(cond: Conditions, *items: int) -> Conditions:
    return cond.map(lambda x: x[list(items)])


@pytest.mark.parametrize("scheduled_sampling", (0.0, 0.5, 1.0))
def test_losses_are_sums_that_agree_for_any_split_of_the_batch(scheduled_sampling):
    diffusion, (x0, mu, cond, mask) = model(scheduled_sampling=scheduled_sampling), batch()
    whole = diffusion.loss(x0, mu, cond, mask, SeededNoise([1, 2, 3]))
    parts = [
        diffusion.loss(x0[[i]], mu[[i]], rows(cond, i), mask[[i]], SeededNoise([i + 1]))
        for i in range(3)
    ]
    torch.testing.assert_close(whole.loss, sum(p.loss for p in parts))
    assert whole.frames == sum(p.frames for p in parts) == 22
    torch.testing.assert_close(whole.by_item, torch.cat([p.by_item for p in parts]))
    torch.testing.assert_close((whole.by_item * mask.sum(1)).sum(), whole.loss)
    torch.testing.assert_close(whole.t, torch.cat([p.t for p in parts]))


@pytest.mark.parametrize("share", (0.0, 0.4, 1.0))
def test_a_share_of_states_is_noised_from_the_decoders_estimate(share):
    sde = build("sde", {"name": "bridge", "schedule": "ve", "c": 1e-12})  # hardly any noise
    diffusion = Diffusion(
        Small(), sde, build("objective", {"name": "data"}), scheduled_sampling=share
    ).eval()
    items, seen = 200, []
    x0, mu = (x.expand(items, -1, -1, -1) for x in batch(1)[:2])
    mask = torch.ones(items, x0.shape[-1], dtype=torch.bool)
    evaluate = diffusion.decoder.evaluate

    def watched(x_in, time_in, prepared):
        seen.append((x_in, time_in))
        return evaluate(x_in, time_in, prepared)

    diffusion.decoder.evaluate = watched
    found = diffusion.loss(x0, mu, Conditions(), mask, SeededNoise(range(items)))
    state, t = seen[-1]
    assert len(seen) == (2 if share else 1)
    once = build("sampler", {"name": "ddim", "steps": 1})
    own = diffusion.sample(once, mu, Conditions(), mask, SeededNoise(range(items)))

    def made_from(data):
        away = (state - sde.marginal(data, mu, t)[0]).flatten(1).abs().amax(1)
        return away < 1e-4

    assert made_from(own).float().mean() == pytest.approx(share, abs=0.1)
    assert torch.equal(made_from(x0), ~made_from(own))
    answer = diffusion.decoder(state, t, mu, Conditions(), mask)
    error = (answer - (x0 - mu)).square().mean((1, 2)).sum(1)  # the target is the data always
    torch.testing.assert_close(found.by_item * x0.shape[-1], error)


def test_own_states_require_data_prediction():
    with pytest.raises(ConfigError, match="scheduled_sampling: requires the objective data"):
        model(objective="noise", scheduled_sampling=0.5)


def test_padding_changes_neither_loss_nor_sample():
    diffusion, (x0, mu, cond, mask) = model(scheduled_sampling=0.5), batch(1, lengths=(7,))
    spoilt = [x.clone() for x in (x0, mu)]
    for x in spoilt:
        x[..., 7:] = 1e3
    noisy_cond = Conditions(
        {"harmonics": cond.maps["harmonics"].clone()},
        {"lips": cond.frames["lips"].clone()},
        {},
        dict(cond.vector),
    )
    noisy_cond.maps["harmonics"][..., 7:] = 1e3
    noisy_cond.frames["lips"][:, 7:] = 1e3
    short = [x[..., :7] for x in (x0, mu)]
    clean = diffusion.loss(*short, cond.crop(0, 7), mask[:, :7], SeededNoise([5]))
    padded = diffusion.loss(*spoilt, noisy_cond, mask, SeededNoise([5]))
    torch.testing.assert_close(padded.loss, clean.loss)
    assert padded.estimate.data[..., 7:].abs().sum() == 0
    for name in ("dpm_solver", "rk45", "predictor_corrector"):
        sampler = build("sampler", {"name": name})
        one = diffusion.sample(sampler, short[1], cond.crop(0, 7), mask[:, :7], SeededNoise([5]))
        two = diffusion.sample(sampler, spoilt[1], noisy_cond, mask, SeededNoise([5]))
        torch.testing.assert_close(two[..., :7], one, rtol=1e-5, atol=1e-5)
        assert two[..., 7:].abs().sum() == 0


def test_gradients_reach_mu_through_the_decoder_only():
    """Gradients through the path would let joint training change the target."""
    diffusion, (x0, mu, cond, mask) = model(), batch()
    mu.requires_grad_()
    diffusion.loss(x0, mu, cond, mask, SeededNoise([1, 2, 3])).loss.backward()
    through = mu.grad.clone()
    mu.grad = None
    decoder_mu = mu.detach().clone().requires_grad_()
    diffusion.loss(
        x0, mu, cond, mask, SeededNoise([1, 2, 3]), decoder_mu=decoder_mu
    ).loss.backward()
    assert mu.grad is None
    torch.testing.assert_close(decoder_mu.grad, through)


def test_conditions_are_prepared_once_for_all_evaluations():
    diffusion, (_, mu, cond, mask) = model(), batch()
    reports = []
    sampler = build("sampler", {"name": "heun", "steps": 4})
    diffusion.sample(sampler, mu, cond, mask, SeededNoise([1, 2, 3]), callback=reports.append)
    assert (diffusion.decoder.prepared, diffusion.decoder.evaluated) == (1, 7)
    assert reports[-1].nfe == sampler.nfe == 7
    assert [p.step for p in reports] == [1, 2, 3, 4] and reports[0].data.shape == mu.shape


def test_a_perfect_decoder_restores_the_distribution():
    data = GaussianData(mean=0.5, std=0.3, mu=0.5)
    sde, objective = (
        build("sde", {"name": "vp_mean"}),
        build("objective", {"name": "data", "residual": False}),
    )
    diffusion = Diffusion(Perfect(sde, objective, data), sde, objective)
    mu = torch.full((2, 1, 20, 200), 0.5)
    mask = torch.ones(2, 200, dtype=torch.bool)
    sampler = build("sampler", {"name": "dpm_solver", "steps": 30})
    x0 = diffusion.sample(sampler, mu, Conditions(), mask, SeededNoise([1, 2]))
    assert x0.mean().item() == pytest.approx(0.5, abs=0.02)
    assert x0.std().item() == pytest.approx(0.3, abs=0.02)
    cold = diffusion.sample(sampler, mu, Conditions(), mask, SeededNoise([1, 2]), noise_scale=0.0)
    assert cold.std().item() == pytest.approx(0, abs=1e-4)


def test_residual_scale_only_changes_the_units_of_the_path():
    """A perfect decoder of scaled residuals gives samples and estimates in the units of x0."""
    sde, objective = build("sde", {"name": "vp_mean"}), build("objective", {"name": "data"})
    unit = GaussianData(mean=0.0, std=1.0, mu=0.0)
    diffusion = Diffusion(Perfect(sde, objective, unit), sde, objective, residual_scale=4.0)
    mu, mask = torch.zeros(1, 1, 20, 300), torch.ones(1, 300, dtype=torch.bool)
    sampler = build("sampler", {"name": "dpm_solver", "steps": 20})
    x0 = diffusion.sample(sampler, mu, Conditions(), mask, SeededNoise([1]))
    assert x0.std().item() == pytest.approx(0.25, abs=0.01)
    losses = diffusion.loss(x0, mu, Conditions(), mask, SeededNoise([2]))
    error = (losses.estimate.data - x0).std().item()
    t = losses.t.double()
    a, sigma = sde.a(t).item(), sde.sigma(t).item()
    assert error == pytest.approx(0.25 * sigma / (a**2 + sigma**2) ** 0.5, rel=0.1)
    assert losses.by_item.item() == pytest.approx((4 * error) ** 2, rel=0.1)


def test_shallow_start_stays_near_the_data_it_started_from():
    diffusion, (x0, mu, cond, mask) = model("vp", "noise"), batch(1, lengths=(12,))
    x = diffusion.noised(x0, mu, 0.01, SeededNoise([1]))
    sampler = build("sampler", {"name": "ddim", "close": "none", "steps": 3})
    near = diffusion.sample(sampler, mu, cond, mask, SeededNoise([1]), x=x, t_start=0.01)
    assert (near - x0).abs().mean() < 0.2 < (mu - x0).abs().mean()


def test_dropping_follows_its_probabilities_item_by_item():
    class Recorder(Small):
        def evaluate(self, x_in, time_in, prepared):
            self.seen = prepared
            return super().evaluate(x_in, time_in, prepared)

    size = 400
    x0 = torch.ones(size, 1, 4, 2)
    cond = Conditions(
        frames={"lips": torch.ones(size, 2, 2)}, vector={"singer": torch.ones(size, 3)}
    )
    parts = build("sde", {"name": "flow"}), build("objective", {"name": "velocity"})
    diffusion = Diffusion(Recorder(), *parts, drop={"lips": 0.5, "mu": 0.1})
    mask = torch.ones(size, 2, dtype=torch.bool)
    diffusion.loss(x0, x0, cond, mask, SeededNoise(range(size)))
    seen = diffusion.decoder.seen
    lips = seen.cond.frames["lips"].flatten(1)
    assert (lips.amin(1) == lips.amax(1)).all()
    assert lips.mean().item() == pytest.approx(0.5, abs=0.08)
    assert seen.mu.mean().item() == pytest.approx(0.9, abs=0.06)
    assert seen.cond.vector["singer"].min() == 1


def test_guidance_has_a_scale_per_dropped_name():
    diffusion, (_, mu, cond, mask) = model(), batch()
    x, t = torch.randn(3, 1, 4, 12), torch.full((3,), 0.5)
    full = diffusion.denoiser(mu, cond, mask)(x, t)
    poorer = [
        diffusion.denoiser(mu, cond.without([name]), mask)(x, t) for name in ("lips", "singer")
    ]
    guidance = [
        GuidanceTerm(2.0, cond.without(["lips"])),
        GuidanceTerm(0.5, cond.without(["singer"])),
    ]
    guided = diffusion.guided_denoiser(mu, cond, mask, None, guidance, None, None)(x, t)
    wanted = full.data + 2 * (full.data - poorer[0].data) + 0.5 * (full.data - poorer[1].data)
    torch.testing.assert_close(guided.data, wanted)
    again, sigma = diffusion.sde.marginal(guided.data, mu, t)
    whole = again + sigma[:, None, None, None] * guided.noise
    torch.testing.assert_close(
        whole * mask[:, None, None], x * mask[:, None, None], rtol=1e-4, atol=1e-4
    )


def test_guidance_needs_one_evaluation_per_term_of_nonzero_scale():
    diffusion, (_, mu, cond, mask) = model(), batch()
    guidance = [
        GuidanceTerm(1.0, cond.without(["lips"])),
        GuidanceTerm(0.0, cond.without(["singer"])),
    ]
    sampler = build("sampler", {"name": "dpm_solver", "steps": 5})
    diffusion.sample(sampler, mu, cond, mask, SeededNoise([1, 2, 3]), guidance=guidance)
    assert diffusion.decoder.evaluated == 10


@pytest.mark.parametrize("name", ["dpm_solver", "heun", "predictor_corrector"])
def test_known_regions_are_kept_exactly_and_the_rest_follows(name):
    diffusion, (x0, mu, cond, mask) = model(residual_scale=2.0), batch(1, lengths=(12,))
    where = torch.zeros(1, 1, 1, 12, dtype=torch.bool)
    where[..., 3:9] = True
    sampler = build("sampler", {"name": name})
    free = diffusion.sample(sampler, mu, cond, mask, SeededNoise([1]))
    x = diffusion.sample(sampler, mu, cond, mask, SeededNoise([1]), known=Known(x0, where))
    torch.testing.assert_close(x[..., 3:9], x0[..., 3:9])
    torch.testing.assert_close(x[..., :3], free[..., :3], rtol=1e-4, atol=1e-4)  # frames apart


def test_windows_of_a_framewise_decoder_change_nothing():
    diffusion, (_, mu, cond, mask) = model(), batch(2, frames=50, lengths=(50, 31))
    for name in ("dpm_solver", "predictor_corrector"):
        sampler, noise = build("sampler", {"name": name}), [3, 4]
        whole = diffusion.sample(sampler, mu, cond, mask, SeededNoise(noise))
        windows = Windows(length=16, overlap=5)
        pieces = diffusion.sample(sampler, mu, cond, mask, SeededNoise(noise), windows=windows)
        torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frames", [5, 16, 17, 27, 28, 100])
def test_windows_cover_every_frame_with_weights_that_rise_and_fall(frames):
    windows = Windows(length=16, overlap=5)
    total = torch.zeros(frames)
    for start, stop in windows.over(frames):
        assert stop - start == min(16, frames)
        weight = windows.fade(start, stop, frames)
        assert (weight > 0).all() and weight.max() <= 1
        total[start:stop] += weight
    assert (total > 0).all()


def test_windows_with_too_large_overlap_raise():
    with pytest.raises(ConfigError, match="overlap must be less than length, found 16 and 16"):
        Windows(16, 16)


@pytest.mark.parametrize("name", ["uniform", "logit_normal", "log_snr", "log_normal"])
@pytest.mark.parametrize("sde", ["vp_mean", "bridge", "edm"])
def test_times_follow_their_distribution_item_by_item(sde, name):
    process, times = build("sde", {"name": sde}), build("times", {"name": name, "t_max_share": 0.0})
    size = 2000
    t = times.sample(process, SeededNoise(range(size)), torch.zeros(size, 1))
    assert t.min() >= process.t_min and t.max() <= process.t_max
    torch.testing.assert_close(
        t[5:7], times.sample(process, SeededNoise([5, 6]), torch.zeros(2, 1))
    )
    clock = process.log_snr(t.double())
    value, quartiles = {
        "uniform": (t, [0.25, 0.5, 0.75]),
        "logit_normal": (torch.logit(t.double()), [-0.674, 0, 0.674]),
        "log_snr": (clock, None),
        "log_normal": (-clock, [-1.2 - 0.809, -1.2, -1.2 + 0.809]),
    }[name]
    if quartiles is None:
        ends = process.log_snr(torch.tensor([process.t_max, process.t_min]).double())
        start, stop = ends.clamp(min=-7.0)
        quartiles = [(start + share * (stop - start)).item() for share in (0.25, 0.5, 0.75)]
    got = torch.quantile(value.double(), torch.tensor([0.25, 0.5, 0.75]).double())
    width = quartiles[2] - quartiles[0]
    torch.testing.assert_close(got, torch.tensor(quartiles).double(), rtol=0, atol=0.1 * width)


def test_a_share_of_times_is_the_end_where_sampling_starts():
    process = build("sde", {"name": "bridge"})
    times = build("times", {"name": "uniform", "t_max_share": 0.25})
    t = times.sample(process, SeededNoise(range(1000)), torch.zeros(1000, 1))
    assert (t == t.new_tensor(process.t_max)).float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_bf16_stays_inside_the_decoder(monkeypatch):
    monkeypatch.setattr("voicediff.networks.precision.has_bfloat16", lambda device: True)
    plain, half = model(), model(bf16=True)
    _, mu, cond, mask = batch()
    sampler = build("sampler", {"name": "dpm_solver"})
    x, y = (d.sample(sampler, mu, cond, mask, SeededNoise([1, 2, 3])) for d in (plain, half))
    assert y.dtype == torch.float32 and 0 < (x - y).abs().max() < 0.1
    losses = half.loss(mu, mu, cond, mask, SeededNoise([1, 2, 3]))
    assert losses.loss.dtype == torch.float32


def test_undefined_combinations_raise_when_the_model_is_built():
    flow = build("sde", {"name": "flow", "t_max": 1.0})
    with pytest.raises(ConfigError, match="divides by a"):
        Diffusion(Small(), flow, build("objective", {"name": "noise"}))
