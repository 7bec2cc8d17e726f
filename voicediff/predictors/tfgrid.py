"""A time-frequency dual-path network after TF-GridNet."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.errors import ConfigError
from voicediff.networks.conditioning import Layout, Sizes, ceiling, fit, pooled_mask
from voicediff.networks.conditions import Conditions
from voicediff.networks.dualpath import DualPathBlock
from voicediff.networks.phases import product
from voicediff.predictors.base import Predictor
from voicediff.registry import register


@register("predictor", "tfgrid")
class TFGridPredictor(Predictor):
    """Dual-path network with TF-GridNet's blocks on a compressed plane (Wang et al. 2023); for GPUs.

    The plane is downsampled before the blocks and upsampled after them, with a skip connection; with
    `shared` all blocks have the same weights, as in RTFS-Net (Pegg et al. 2024). The default has
    3.4 M parameters. Recurrent layers and attention are slow on CPUs; use `patch_unet` there.

    Conditions: maps are input channels; frames and vectors scale and shift the features before every
    block, at the block's frame rate.

    Args:
        channels: C of the features.
        compress: (bins, frames) that become one position of the inner plane.
        layers: number of blocks; shared: whether they share their weights.
        hidden, kernel, stride: of the LSTMs and their windows.
        heads, head_size: of the attention; head_size is per bin.
        output: `mask`, the estimate is a complex mask times y; `map`, the spectrum itself.
    """

    def __init__(
        self,
        channels_in: int = 2,
        bins: int = 256,
        conditions: Sizes | None = None,
        channels: int = 64,
        compress: tuple[int, int] = (2, 2),
        layers: int = 4,
        shared: bool = False,
        hidden: int = 128,
        kernel: int = 4,
        stride: int = 2,
        heads: int = 4,
        head_size: int = 4,
        output: Literal["mask", "map"] = "mask",
    ):
        super().__init__()
        if channels % heads:
            raise ConfigError(f"tfgrid: channels {channels} must be a multiple of heads {heads}")
        if output == "mask" and channels_in != 2:
            raise ConfigError("tfgrid: output mask requires a complex spectrum (two channels)")
        self.layout = Layout(conditions, ("maps", "frames", "vector"), "predictor tfgrid")
        self.compress, self.output = compress, output
        rows = ceiling(bins, compress[0]) // compress[0]
        self.enter = nn.Conv2d(channels_in + self.layout.total("maps"), channels, 3, padding=1)
        self.shrink = nn.Conv2d(channels, channels, compress, compress)
        self.blocks = nn.ModuleList(
            DualPathBlock(channels, rows, hidden, kernel, stride, heads, head_size)
            for _ in range(1 if shared else layers)
        )
        conditions = self.layout.total("frames") + self.layout.total("vector")
        self.films = nn.ModuleList(
            nn.Linear(conditions, 2 * channels) for _ in range(layers if conditions else 0)
        )
        self.layers = layers
        self.grow = nn.ConvTranspose2d(channels, channels, compress, compress)
        self.act = nn.PReLU(channels)
        self.out = nn.Conv2d(channels, channels_in, 3, padding=1)

    def forward(self, y: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        keep = mask[:, None, None].to(y.dtype)
        size = _loudness(y, keep)
        planes = [plane / size for plane in (y, *self.layout.planes(None, cond))]
        h = self.enter(torch.cat(planes, 1) * keep) * keep
        h = h + self._inner(h, cond, mask)
        output = self.out(self.act(h) * keep).float()
        return (product(output, y) if self.output == "mask" else output * size) * keep

    def _inner(self, h: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        """The blocks on the compressed plane: h (B, C, F, T) -> like h."""
        bins, frames = h.shape[-2:]
        p, q = self.compress
        x = self.shrink(fit(h, ceiling(bins, p), ceiling(frames, q)))
        x = rearrange(x, "b c f t -> b t f c")
        kept = pooled_mask(F.pad(mask, (0, ceiling(frames, q) - frames)), q)
        conditions = self._conditions(cond, mask, q)
        lengths = None if bool(kept.all()) else kept.sum(-1)
        for i in range(self.layers):
            if conditions is not None:
                scale, shift = self.films[i](conditions)[:, :, None].chunk(2, -1)
                x = x * (1 + scale) + shift
            x = self.blocks[i % len(self.blocks)](x, lengths)
        x = rearrange(x * kept[:, :, None, None], "b t f c -> b c f t")
        return self.grow(x)[..., :bins, :frames]

    def _conditions(self, cond: Conditions, mask: Tensor, factor: int) -> Tensor | None:
        """Frames and vectors, concatenated, at the inner frame rate (B, T / factor, D)."""
        frames, vector = self.layout.frames(cond), self.layout.vector(cond)
        parts = [] if frames is None else [frames]
        if vector is not None:
            parts.append(vector[:, None].expand(-1, mask.shape[1], -1))
        if not parts:
            return None
        conditions = torch.cat(parts, -1) * mask[..., None]
        conditions = F.pad(conditions, (0, 0, 0, ceiling(mask.shape[1], factor) - mask.shape[1]))
        return F.avg_pool1d(conditions.mT, factor, factor).mT


def _loudness(y: Tensor, keep: Tensor) -> Tensor:
    """Root mean square (B, 1, 1, 1) of an item's valid frames; 1 for silence."""
    share = keep.mean((1, 2, 3), keepdim=True).clamp(min=1e-6)
    power = (y * keep).square().mean((1, 2, 3), keepdim=True) / share
    return torch.where(power > 1e-10, power, torch.ones_like(power)).sqrt()
