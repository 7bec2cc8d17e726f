"""Oracle masks on signals whose best mask is known."""

import torch

from voicediff.audio.masks import phase_masked, ratio_masked
from voicediff.metrics.distortion import si_sdr


def tones():
    """Two tones that share no bin."""
    time = torch.arange(32000) / 16000
    return torch.stack([torch.sin(2 * torch.pi * hz * time) for hz in (500.0, 2000.0)])


def test_masks_separate_sources_that_do_not_overlap():
    sources = tones()
    for masked in (ratio_masked, phase_masked):
        found = masked(sources.sum(0), sources)
        assert found.shape == sources.shape
        for track, source in zip(found, sources, strict=True):
            assert si_sdr(source[500:-500].numpy(), track[500:-500].numpy()) > 30


def test_the_phase_mask_is_better_where_sources_overlap():
    sources = torch.randn(2, 32000, generator=torch.Generator().manual_seed(0))
    mixture = sources.sum(0)
    ratio, phase = (
        si_sdr(sources[0].numpy(), masked(mixture, sources)[0].numpy())
        for masked in (ratio_masked, phase_masked)
    )
    assert si_sdr(sources[0].numpy(), mixture.numpy()) + 3 < ratio < phase


def test_ratio_masks_exclude_noise_that_is_not_a_source():
    sources = tones()
    noise = 0.5 * torch.randn(32000, generator=torch.Generator().manual_seed(1))
    found = ratio_masked(sources.sum(0) + noise, sources)
    assert (found.sum(0) - sources.sum(0)).square().mean() < 0.5 * noise.square().mean()
