"""Encoders of symbols, expansion to frames, pitch contour, harmonics."""

import pytest
import torch

from voicediff.data.singing.dataset import PITCHES, PLACES, ScoreInputs
from voicediff.encoders.contour import Harmonics, PitchContour, contour_losses, midi_to_hz
from voicediff.encoders.score import ScoreEncoder, expand, phone_of_frame
from voicediff.registry import build, entries

NAMES = [name for name, entry in entries("encoder").items() if "symbols" in entry.options]


def encoder(name, symbols=20):
    torch.manual_seed(0)
    return build("encoder", {"name": name}, symbols=symbols).eval()


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_change_states(name):
    net, tokens = encoder(name), torch.randint(20, (1, 9))
    alone = net(tokens, torch.tensor([9]))
    padded = torch.cat((tokens, torch.randint(20, (1, 5))), 1)
    together = net(padded.repeat(2, 1), torch.tensor([9, 14]))
    assert alone.shape == (1, 9, net.dim)
    torch.testing.assert_close(together[:1, :9], alone, atol=1e-5, rtol=1e-5)
    assert (together[0, 9:] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name):
    net = encoder(name).train()
    net(torch.randint(20, (2, 7)), torch.tensor([7, 5])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_expansion_repeats_states_over_their_durations():
    states = torch.arange(3.0).reshape(1, 3, 1)
    durations = torch.tensor([[2, 0, 3]])
    assert expand(states, durations, 5).flatten().tolist() == [0, 0, 2, 2, 2]
    assert phone_of_frame(durations, 7)[0, 5:].tolist() == [2, 2]


def score_inputs(lengths=(12, 8), size=16):
    torch.manual_seed(1)
    frames = torch.tensor(lengths)
    durations = torch.zeros(2, 4, dtype=torch.long)
    durations[0], durations[1, :2] = torch.tensor([3, 3, 3, 3]), torch.tensor([4, 4])
    return ScoreInputs(
        tokens=torch.randint(20, (2, 4)),
        pitches=torch.randint(55, 70, (2, 4)),
        slurs=torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]),
        durations=durations,
        lengths=torch.tensor([4, 2]),
        melody=torch.rand(2, size) * 10 + 55,
        places=torch.rand(2, size, PLACES),
        mask=torch.arange(size) < frames[:, None],
    )


def score_encoder(expansion, harmonics=False):
    torch.manual_seed(0)
    text, pitch = encoder("conv"), encoder("embedding", 2 * PITCHES)
    return ScoreEncoder(text, pitch, 8, 16, 3, 3, 0.0, expansion, True, harmonics).eval()


@pytest.mark.parametrize("expansion", ["after", "before"])
def test_mu_of_an_item_does_not_depend_on_padding(expansion):
    net, score = score_encoder(expansion), score_inputs()
    mu, states = net(score)
    assert mu.shape == (2, 8, 16) and states.shape == (2, 16, 16)
    alone = ScoreInputs(**{name: value[1:, ...] for name, value in vars(score).items()})
    alone.mask, alone.melody, alone.places = (
        alone.mask[:, :8],
        alone.melody[:, :8],
        alone.places[:, :8],
    )
    torch.testing.assert_close(net(alone)[0], mu[1:, :, :8], atol=1e-5, rtol=1e-5)
    assert (mu[1, :, 8:] == 0).all()


def test_expansion_before_and_after_agree_for_an_encoder_without_context():
    text, pitch = encoder("embedding"), encoder("embedding", 2 * PITCHES)
    nets = []
    for expansion in ("after", "before"):
        torch.manual_seed(3)
        nets.append(ScoreEncoder(text, pitch, 8, 16, 2, 3, 0.0, expansion, True, False).eval())
    score = score_inputs()
    torch.testing.assert_close(nets[0](score)[0], nets[1](score)[0], atol=1e-5, rtol=1e-5)


def mel_like_filters(bins=64, n_fft=1024, rate=22050):
    """Triangular filters 50 Hz apart."""
    frequencies = torch.linspace(0, rate / 2, n_fft // 2 + 1)
    centres = 50.0 * torch.arange(1, bins + 1)
    return (1 - (frequencies - centres[:, None]).abs() / 50).clamp(min=0)


def test_harmonics_lie_at_multiples_of_f0():
    comb = Harmonics(mel_like_filters(), 22050, 1024)(torch.tensor([[400.0, 0.0]]))
    peaks = comb[0, :, 0].topk(8).indices.sort().values
    assert peaks.tolist() == [7, 15, 23, 31, 39, 47, 55, 63]  # 400, 800 ... Hz
    assert (comb[0, :, 1] == 0).all()


def test_harmonics_move_smoothly_with_pitch():
    comb = Harmonics(mel_like_filters(), 22050, 1024)
    steps = comb(midi_to_hz(torch.linspace(60, 62, 201))[None])[0]
    assert steps.diff(dim=1).abs().max() < 0.12


def test_contour_loss_is_zero_at_the_target_and_ignores_octave_errors():
    melody = torch.full((1, 4), 60.0)
    f0 = midi_to_hz(torch.tensor([[60.5, 72.0, 0.0, 59.0]])) * torch.tensor([[1.0, 1, 0, 1]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    voicing = torch.where(f0 > 0, 30.0, -30.0)
    deviation = torch.tensor([[0.5, 0.0, 0.0, -1.0]])
    pitch, voiced = contour_losses(deviation, voicing, melody, f0, mask)
    assert pitch < 1e-4 and voiced < 1e-6
    worse, _ = contour_losses(deviation + 0.25, voicing, melody, f0, mask)
    torch.testing.assert_close(worse, torch.tensor(0.5), atol=1e-4, rtol=0)


def test_contour_stays_near_the_melody():
    torch.manual_seed(0)
    net = PitchContour(16).eval()
    deviation, _ = net(100 * torch.randn(1, 50, 16), torch.ones(1, 50, dtype=torch.bool))
    assert deviation.abs().max() <= 3.0
