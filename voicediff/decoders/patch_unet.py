"""A small U-Net on patches of the complex spectrum, for CPUs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.networks.conditioning import Layout, SinusoidalTime, Sizes, extended
from voicediff.networks.conditions import Conditions
from voicediff.networks.patch_unet import Modulation, PatchShape, PatchUNet
from voicediff.registry import register


@dataclass
class PreparedPatches(Prepared):
    """planes (B, P, F, T) beside x; states of frames (B, T, D) or None; masks."""

    planes: Tensor
    states: Tensor | None
    mask: Tensor


@register("decoder", "patch_unet")
class PatchUNetDecoder(Decoder):
    """Small U-Net on patches of the complex spectrum, with time conditioning; for CPUs.

    The network of the predictor `patch_unet`. Maps (mixture) and mu are further input planes; frames
    (lips), vectors (identity) and the time embedding scale and shift the channels in every block.

    channels, blocks, patch, full_band, recurrent: see `PatchShape`. gain: factor of all input planes,
    which brings compressed spectra to about unit size; the output is divided by it.
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
        gain: float = 4.0,
        use_mu: bool = True,
    ):
        super().__init__()
        self.layout = Layout(conditions, ("maps", "frames", "vector"), "decoder patch_unet")
        self.gain, self.use_mu = gain, use_mu
        self.time = nn.Sequential(
            SinusoidalTime(time, time_scale), nn.Linear(time, time), nn.SiLU()
        )
        self.network = PatchUNet(
            (2 if use_mu else 1) * channels_in + self.layout.total("maps"),
            channels_in,
            bins,
            self.layout.total("frames") + self.layout.total("vector") + time,
            PatchShape(channels, blocks, patch, full_band, recurrent),
        )

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedPatches:
        planes = self.layout.planes(mu if self.use_mu else None, cond)
        joined = torch.cat(planes, 1) if planes else mu[:, :0]
        return PreparedPatches(joined, self.layout.states(cond, mask.shape[1]), mask)

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedPatches) -> Tensor:
        keep = prepared.mask[:, None, None].to(x_in.dtype)
        planes = torch.cat([x_in, prepared.planes], 1) * (self.gain * keep)
        output = self.network(planes, self._modulation(time_in, prepared))
        return output * (keep / self.gain)

    def _modulation(self, time_in: Tensor, prepared: PreparedPatches) -> list[Modulation]:
        states = extended(prepared.states, self.time(time_in), prepared.mask.shape[1])
        return self.network.modulation(states, prepared.mask)
