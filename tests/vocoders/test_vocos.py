"""Inverse-STFT vocoders: the given pitch, any chunks, corrections towards the mel."""

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, f0, log_mel
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.registry import build
from voicediff.vocoders.source import cycles_and_hertz, pulses, without_gaps

SPEC = MelSpec()
SMALL = {"channels": 16, "layers": 2}


def vocoder(name, **options):
    torch.manual_seed(0)
    made = build("vocoder", {"name": name, **SMALL, **options}, spec=SPEC).eval()
    torch.nn.init.normal_(made.leave.weight, std=0.05)  # so that the network has an effect
    return made


def voice(seconds=1.0, hz=220.0):
    """A harmonic waveform (1, N) with a little noise."""
    time = torch.arange(int(seconds * SPEC.sample_rate)) / SPEC.sample_rate
    breath = 0.002 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return (sum(0.2 / n**1.5 * torch.cos(2 * torch.pi * hz * n * time) for n in range(1, 36)) + breath)[None]  # fmt: skip


def song(frames=150, batch=1):
    generator = torch.Generator().manual_seed(1)
    mel = torch.linspace(-2, -8, SPEC.n_mels)[None, :, None] + 0.3 * torch.randn(
        batch, SPEC.n_mels, frames, generator=generator
    )
    hz = 220 + 30 * torch.rand(batch, frames, generator=generator)
    hz[:, 40:60] = 0
    return mel, hz


@torch.no_grad()
@pytest.mark.parametrize("name", ["vocos", "vocos_source"])
@pytest.mark.parametrize("corrections", [0, 2])
def test_the_result_does_not_depend_on_the_chunk(name, corrections):
    mel, hz = song(260)
    whole = vocoder(name, corrections=corrections, chunk=1000)(mel, hz, SeededNoise([1]))
    pieces = vocoder(name, corrections=corrections, chunk=37)(mel, hz, SeededNoise([1]))
    assert whole.shape == (1, 260 * SPEC.hop)
    error = (whole - pieces).square().sum() / whole.square().sum()
    assert 10 * torch.log10(error) < -70


@torch.no_grad()
@pytest.mark.parametrize("name", ["vocos", "vocos_source"])
def test_items_are_independent(name):
    mel, hz = song(batch=3)
    made = vocoder(name)(mel, hz, SeededNoise([1, 2, 3]))
    for i in range(3):
        alone = vocoder(name)(mel[i : i + 1], hz[i : i + 1], SeededNoise([i + 1]))
        torch.testing.assert_close(made[i : i + 1], alone, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_pitch_is_the_given_one_before_any_training():
    hz = 300 * 2 ** (0.5 / 12 * torch.sin(2 * torch.pi * 5 * torch.arange(100) / SPEC.frame_rate))
    mel = torch.linspace(-2, -8, SPEC.n_mels)[None, :, None].repeat(1, 1, 100)
    untrained = build("vocoder", {"name": "vocos_source", **SMALL}, spec=SPEC)
    found = f0(untrained(mel, hz[None])[0].numpy(), SPEC.sample_rate, SPEC.hop)[3:-3]
    assert np.abs(1200 * np.log2(found / hz[3:-3].numpy())).max() < 8


@torch.no_grad()
def test_corrections_restore_mel_and_level():
    natural = voice()
    mel = log_mel(natural, SPEC)
    hz = torch.full((1, mel.shape[-1]), 220.0)

    def error(corrections, shift=0.0):
        spec = {"name": "vocos_source", **SMALL, "corrections": corrections}
        made = build("vocoder", spec, spec=SPEC).eval()
        return (log_mel(made(mel + shift, hz), SPEC) - mel - shift)[..., 4:-4].abs().mean()

    assert error(4) < 0.5 * error(0)
    assert error(4, shift=-2.0) < 1.5 * error(4)


@pytest.mark.parametrize("name", ["vocos", "vocos_source"])
def test_every_parameter_has_a_gradient(name):
    mel, hz = song(40)
    model = vocoder(name)
    model(mel, hz).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_missing_f0_raises():
    with pytest.raises(DataError, match="'vocos_source': needs F0"):
        vocoder("vocos_source")(song(10)[0])


def test_pulses_are_the_sum_of_all_harmonics_and_have_unit_power():
    curve = torch.full((1, 42), 230.0)
    cycles, hertz = cycles_and_hertz(curve, SPEC.hop, SPEC.sample_rate)
    made = pulses(cycles[:, :-1], hertz, SPEC.sample_rate)
    room = SPEC.sample_rate / 2 / 230.0
    number = torch.arange(1, int(room) + 1)
    strength = torch.ones(int(room))
    strength[-1] = room % 1
    angles = 2 * torch.pi * (cycles[0, :-1, None] * number)
    expected = (angles.cos() * strength).sum(-1) * (4 * 230.0 / SPEC.sample_rate) ** 0.5
    torch.testing.assert_close(made[0], expected.float(), atol=2e-3, rtol=0)
    assert abs(made.square().mean() - 1) < 0.05


def test_cycles_are_the_integral_of_f0():
    curve = torch.tensor([[200.0, 200, 210, 220, 220]])  # one neighbour on each side
    cycles, hertz = cycles_and_hertz(curve, SPEC.hop, SPEC.sample_rate)
    assert cycles.shape == (1, 3 * SPEC.hop + 1) and hertz.shape == (1, 3 * SPEC.hop)
    expected = (200 + 210 + 220) * SPEC.hop / SPEC.sample_rate
    assert abs(cycles[0, -1] - expected) < 0.02


def test_f0_is_interpolated_over_gaps():
    hz = torch.tensor([[0.0, 100, 0, 0, 130, 0], [0, 0, 0, 0, 0, 0]])
    expected = [[100.0, 100, 110, 120, 130, 130], [100.0] * 6]
    torch.testing.assert_close(without_gaps(hz), torch.tensor(expected))
