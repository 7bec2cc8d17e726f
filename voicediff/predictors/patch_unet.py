"""A complex mask from a small U-Net on patches of the spectrum, for CPUs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from voicediff.networks.conditioning import Layout, Sizes
from voicediff.networks.conditions import Conditions
from voicediff.networks.patch_unet import PatchShape, PatchUNet
from voicediff.networks.phases import PLANES, features
from voicediff.predictors.base import Predictor
from voicediff.registry import register


@register("predictor", "patch_unet")
class PatchUNetPredictor(Predictor):
    """Complex mask from a U-Net of dense 3 x 3 convolutions on patches; for CPUs.

    Inputs are log and root magnitude, and phase *differences* in time and in frequency, which do not
    change with the overall phase. Maps are further input planes. Frames (lips) and vectors (identity)
    scale and shift the channels in every block.

    Args:
        channels, blocks, patch, full_band, recurrent: see `PatchShape`.
        hop: hop size divided by the window length, for the phase advance of a steady tone.
        exponent: of the compressed spectrum (the mask acts before compression).
        output: `mask`, the estimate is a complex mask times y; `map`, the spectrum itself.
    """

    def __init__(
        self,
        channels_in: int = 2,
        bins: int = 256,
        conditions: Sizes | None = None,
        channels: tuple[int, ...] = (32, 64, 96, 128),
        blocks: int = 1,
        patch: tuple[int, int] = (4, 2),
        full_band: tuple[int, ...] = (8, 8),
        recurrent: int = 128,
        hop: float = 128 / 510,
        exponent: float = 0.5,
        output: Literal["mask", "map"] = "mask",
    ):
        super().__init__()
        self.layout = Layout(conditions, ("maps", "frames", "vector"), "predictor patch_unet")
        self.hop, self.exponent, self.output = hop, exponent, output
        self.network = PatchUNet(
            PLANES + self.layout.total("maps"),
            channels_in,
            bins,
            self.layout.total("frames") + self.layout.total("vector"),
            PatchShape(channels, blocks, patch, full_band, recurrent),
        )

    def forward(self, y: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        keep = mask[:, None, None].to(y.dtype)
        y = y * keep
        planes = torch.cat([features(y, self.hop), *self.layout.planes(None, cond)], 1) * keep
        modulation = self.network.modulation(self.layout.states(cond, mask.shape[1]), mask)
        output = self.network(planes, modulation).float()
        return (output if self.output == "map" else self._masked(y, output)) * keep

    def _masked(self, y: Tensor, output: Tensor) -> Tensor:
        """The complex mask of the uncompressed spectrum, applied to the compressed one."""
        re, im = output.unbind(1)
        re = re + 0.5  # the initial mask is about 0.5
        shrink = (re.square() + im.square() + 1e-4) ** ((self.exponent - 1) / 2)
        re, im = re * shrink, im * shrink
        y_re, y_im = y.unbind(1)
        return torch.stack([y_re * re - y_im * im, y_re * im + y_im * re], 1)
