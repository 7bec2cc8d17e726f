"""A small U-Net with complex masks and phase features, for CPUs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.errors import ConfigError
from voicediff.networks.conditioning import Layout, SinusoidalTime, Sizes, extended
from voicediff.networks.conditions import Conditions
from voicediff.networks.patch_unet import Modulation, PatchShape, PatchUNet
from voicediff.networks.phases import PLANES, features, product, relative_phase
from voicediff.registry import register


@dataclass
class PreparedSpectra(Prepared):
    """spectra: mu and maps, each (B, 2, F, T); planes (B, P, F, T) of them; states (B, T, D); mask."""

    spectra: list[Tensor]
    planes: Tensor
    states: Tensor | None
    mask: Tensor


@register("decoder", "patch_mask")
class PatchMaskDecoder(Decoder):
    """Sum of complex masks on x, mu and every map, from a small U-Net; for CPUs and short training.

    Inputs are magnitudes, phase differences, and phases relative to mu of each spectrum, so that a
    rotation of all phases rotates the output and changes nothing else. A network on real and
    imaginary parts (`patch_unet`) must learn this symmetry from data. Frames (lips), vectors
    (identity) and the time embedding scale and shift the channels in every block.

    channels, blocks, patch, full_band, recurrent: see `PatchShape`. hop: hop size divided by the
    window length.
    """

    def __init__(
        self,
        channels_in: int = 2,
        bins: int = 256,
        conditions: Sizes | None = None,
        channels: tuple[int, ...] = (32, 48, 64),
        blocks: int = 1,
        patch: tuple[int, int] = (4, 2),
        full_band: tuple[int, ...] = (),
        recurrent: int = 0,
        time: int = 32,
        time_scale: float = 1000.0,
        hop: float = 128 / 510,
    ):
        super().__init__()
        self.layout = Layout(conditions, ("maps", "frames", "vector"), "decoder patch_mask")
        if {channels_in, *self.layout.sizes["maps"].values()} != {2}:
            raise ConfigError(
                "decoder patch_mask: x and all maps must be complex spectra (two channels)"
            )
        self.hop = hop
        spectra = 2 + len(self.layout.sizes["maps"])
        self.time = nn.Sequential(
            SinusoidalTime(time, time_scale), nn.Linear(time, time), nn.SiLU()
        )
        self.network = PatchUNet(
            spectra * (PLANES + 2) - 2,
            2 * spectra,
            bins,
            self.layout.total("frames") + self.layout.total("vector") + time,
            PatchShape(channels, blocks, patch, full_band, recurrent),
        )

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedSpectra:
        spectra = self.layout.planes(mu, cond)
        planes = [features(mu, self.hop), *(self._planes(z, mu) for z in spectra[1:])]
        states = self.layout.states(cond, mask.shape[1])
        return PreparedSpectra(spectra, torch.cat(planes, 1), states, mask)

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedSpectra) -> Tensor:
        keep = prepared.mask[:, None, None].to(x_in.dtype)
        planes = [self._planes(x_in, prepared.spectra[0]), prepared.planes]
        masks = self.network(
            torch.cat(planes, 1) * keep, self._modulation(time_in, prepared)
        ).float()
        spectra = [x_in, *prepared.spectra]
        parts = [product(m, z) for m, z in zip(masks.split(2, 1), spectra, strict=True)]
        return sum(parts) * keep

    def _planes(self, z: Tensor, mu: Tensor) -> Tensor:
        return torch.cat([features(z, self.hop), relative_phase(z, mu)], 1)

    def _modulation(self, time_in: Tensor, prepared: PreparedSpectra) -> list[Modulation]:
        states = extended(prepared.states, self.time(time_in), prepared.mask.shape[1])
        return self.network.modulation(states, prepared.mask)
