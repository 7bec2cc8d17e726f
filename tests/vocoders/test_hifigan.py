"""HiFi-GAN's generator: receptive field, size, options."""

from __future__ import annotations

import pytest
import torch

from voicediff.audio import MelSpec
from voicediff.errors import ConfigError
from voicediff.registry import build

SMALL = {
    "name": "hifigan",
    "channels": 16,
    "rates": [4, 2],
    "kernels": [8, 4],
    "block_kernels": [3, 7],
    "block_dilations": [[1, 3], [1, 5]],
}
MEL = MelSpec(hop=8, n_mels=10)


@pytest.mark.parametrize("block", [1, 2])
def test_sound_does_not_depend_on_the_chunk(block):
    torch.manual_seed(0)
    whole = build("vocoder", {**SMALL, "block": block, "chunk": 1000}, spec=MEL).eval()
    chunked = build("vocoder", {**SMALL, "block": block, "chunk": 7}, spec=MEL).eval()
    chunked.load_state_dict(whole.state_dict())
    mel = torch.randn(2, 10, 100)
    with torch.no_grad():
        sound = whole(mel)
        assert sound.shape == (2, 800)
        assert (chunked(mel) - sound).abs().max() < 1e-5 * sound.abs().max()


def test_context_is_the_receptive_field():
    torch.manual_seed(0)
    vocoder = build("vocoder", SMALL, spec=MEL)
    mel = torch.randn(1, 10, 101, requires_grad=True)
    vocoder(mel)[0, 50 * 8 : 51 * 8].sum().backward()
    heard = mel.grad.abs().sum((0, 1)).nonzero()
    assert 50 - heard.min() <= vocoder.context and heard.max() - 50 <= vocoder.context


def test_published_version_1_has_13_9_million_parameters():
    with torch.device("meta"):
        vocoder = build("vocoder", {"name": "hifigan"}, spec=MelSpec())
    assert sum(p.numel() for p in vocoder.parameters()) == pytest.approx(13.93e6, rel=5e-3)


def test_rates_that_do_not_match_the_hop_raise():
    with pytest.raises(ConfigError, match="multiply to 8, but the mel's hop is 256"):
        build("vocoder", SMALL, spec=MelSpec())
