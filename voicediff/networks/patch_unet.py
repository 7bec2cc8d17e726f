"""A U-Net for CPUs: dense convolutions on patches of the spectrum, modulated by frame conditions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.networks.conditioning import ceiling, fit, pooled_mask
from voicediff.networks.masked import masked
from voicediff.networks.patches import fold, unfold


@dataclass(frozen=True)
class PatchShape:
    """The size of a `PatchUNet`.

    Attributes:
        channels: of each level; the next level has half the bins and frames.
        blocks: residual blocks per level and side.
        patch: (bins, frames) that become channels.
        full_band: channels of the linear layers over all bins, from the top level on.
        recurrent: width of the bidirectional recurrent layer at the bottom; 0 for none.
    """

    channels: tuple[int, ...]
    blocks: int
    patch: tuple[int, int]
    full_band: tuple[int, ...]
    recurrent: int

    @property
    def multiple(self) -> tuple[int, int]:
        """Multiples to which bins and frames are padded."""
        steps = 2 ** (len(self.channels) - 1)
        return self.patch[0] * steps, self.patch[1] * steps


@dataclass
class Modulation:
    """Mask (B, 1, 1, T) or None, and frame conditions (B, T, D) or None, at the rate of one level."""

    mask: Tensor | None
    frames: Tensor | None


class PatchUNet(nn.Module):
    """Planes (B, P, F, T) and frame conditions (B, T, D) -> (B, planes_out, F, T).

    Dense convolutions are the fastest layers on CPUs, so patches become channels and no layer is
    depthwise. Linear layers over all bins of the upper levels (`full_band`) relate the harmonics of
    a frame, which are further apart than the kernels reach. A recurrent layer at the lowest level
    covers long contexts in time. The conditions scale and shift the channels in every block.
    """

    def __init__(
        self, planes: int, planes_out: int, bins: int, condition_dim: int, shape: PatchShape
    ):
        super().__init__()
        self.shape, channels = shape, shape.channels
        depth, folded = len(channels), shape.patch[0] * shape.patch[1]
        self.rates = [shape.patch[1] * 2**level for level in range(depth)]
        top = ceiling(bins, shape.multiple[0]) // shape.patch[0]
        rows = [top // 2**level for level in range(depth)]

        def level(width_in: int, width: int, number: int) -> Level:
            narrow = shape.full_band[number] if number < len(shape.full_band) else 0
            return Level(width_in, width, shape.blocks, condition_dim, rows[number], narrow)

        pairs = list(pairwise(channels))
        self.enter = nn.Conv2d(planes * folded, channels[0], 3, padding=1)
        self.down = nn.ModuleList(level(width, width, i) for i, width in enumerate(channels))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.bottom = None
        if shape.recurrent:
            self.bottom = Recurrent(channels[-1] * rows[-1], shape.recurrent, condition_dim)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(level(2 * a, a, i) for i, (a, _) in enumerate(pairs))
        self.out = nn.Conv2d(channels[0], planes_out * folded, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.to(memory_format=torch.channels_last)

    def modulation(self, states: Tensor | None, mask: Tensor) -> list[Modulation]:
        """Mask and frame conditions by level; states (B, T, D), mask bool (B, T)."""
        frames = ceiling(mask.shape[1], self.shape.multiple[1])
        full = F.pad(mask, (0, frames - mask.shape[1]))
        if states is not None:
            states = F.pad(states * mask[..., None], (0, 0, 0, frames - mask.shape[1]))
        every = bool(full.all())
        return [
            Modulation(
                None if every else pooled_mask(full, rate)[:, None, None].float(),
                None if states is None else F.avg_pool1d(states.mT, rate, rate).mT,
            )
            for rate in self.rates
        ]

    def forward(self, planes: Tensor, modulation: list[Modulation]) -> Tensor:
        """planes (B, P, F, T), zero where padded."""
        bins, frames = planes.shape[-2:]
        padded = (ceiling(n, m) for n, m in zip((bins, frames), self.shape.multiple, strict=True))
        x = fold(fit(planes, *padded), self.shape.patch)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for number, level in enumerate(self.down):
            x = level(masked(x, modulation[number].mask), modulation[number])
            if number < len(self.shrink):
                skips.append(x)
                x = self.shrink[number](x)
        if self.bottom is not None:
            x = self.bottom(x, modulation[-1])
        for number in reversed(range(len(skips))):
            x = torch.cat([self.grow[number](x), skips[number]], 1)
            x = self.up[number](masked(x, modulation[number].mask), modulation[number])
        return unfold(self.out(x), self.shape.patch)[..., :bins, :frames]


class Level(nn.Module):
    """An optional linear layer over all bins, then residual blocks."""

    def __init__(
        self, width_in: int, width: int, blocks: int, condition_dim: int, rows: int, narrow: int
    ):
        super().__init__()
        self.full_band = FullBand(width_in, narrow, rows) if narrow else None
        self.blocks = nn.ModuleList(
            ModulatedBlock(width if i else width_in, width, condition_dim) for i in range(blocks)
        )

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        if self.full_band is not None:
            x = masked(self.full_band(x), modulation.mask)
        for block in self.blocks:
            x = block(x, modulation)
        return x


class ModulatedBlock(nn.Module):
    """Two 3 x 3 convolutions, with scale and shift from the frame conditions between them."""

    def __init__(self, width_in: int, width: int, condition_dim: int):
        super().__init__()
        self.norm1, self.norm2 = PlaneNorm(width_in), PlaneNorm(width, affine=not condition_dim)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.steer = nn.Linear(condition_dim, 2 * width) if condition_dim else None
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        h = self.conv1(masked(F.relu(self.norm1(x)), modulation.mask))
        h = self.norm2(h)
        if self.steer is not None:
            affine = rearrange(self.steer(modulation.frames), "b t c -> b c 1 t").to(h.dtype)
            scale, shift = affine.chunk(2, 1)
            h = torch.addcmul(shift, h, 1 + scale)
        h = self.conv2(masked(F.relu(h, inplace=True), modulation.mask))
        return masked(self.skip(x) + h, modulation.mask)


class PlaneNorm(nn.Module):
    """Layer norm over the channels at each position of (B, C, F, T)."""

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class FullBand(nn.Module):
    """Residual linear layer over all bins and a few channels of each frame."""

    def __init__(self, width: int, narrow: int, rows: int):
        super().__init__()
        self.narrow, self.widen = nn.Conv2d(width, narrow, 1), nn.Conv2d(narrow, width, 1)
        self.mix = nn.Linear(narrow * rows, narrow * rows)

    def forward(self, x: Tensor) -> Tensor:
        h = self.narrow(x)
        rows = h.shape[2]
        h = F.relu(self.mix(rearrange(h, "b c f t -> b t (f c)")))
        return x + self.widen(rearrange(h, "b t (f c) -> b c f t", f=rows))


class Recurrent(nn.Module):
    """Residual bidirectional recurrent layer over frames, on all channels and bins of each."""

    def __init__(self, size: int, width: int, condition_dim: int):
        super().__init__()
        self.enter = nn.Linear(size + condition_dim, width)
        self.norm = nn.LayerNorm(width)
        self.forth, self.back = (nn.GRU(width, width, batch_first=True) for _ in range(2))
        self.leave = nn.Linear(2 * width, size)

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        joined = rearrange(x, "b c f t -> b t (f c)")
        if modulation.frames is not None:
            joined = torch.cat([joined, modulation.frames.to(joined)], -1)
        h = F.relu(self.norm(self.enter(joined)))
        h = torch.cat([self.forth(h)[0], self._backwards(h, modulation)], -1)
        h = rearrange(self.leave(h), "b t (f c) -> b c f t", f=x.shape[2])
        return masked(x + h, modulation.mask)

    def _backwards(self, h: Tensor, modulation: Modulation) -> Tensor:
        """The backward direction, started at the last frame of each item."""
        if modulation.mask is None:
            return self.back(h.flip(1))[0].flip(1)
        lengths = modulation.mask[:, 0, 0].sum(-1).long()
        frames = torch.arange(h.shape[1], device=h.device)
        reversed_frames = (lengths[:, None] - 1 - frames) % h.shape[1]
        index = reversed_frames[..., None].expand(-1, -1, h.shape[2])
        return self.back(h.gather(1, index))[0].gather(1, index)
