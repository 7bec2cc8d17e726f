"""A U-Net for CPUs: dense convolutions on patches of the spectrum, steered by what is known of frames."""

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
        """What bins and frames are padded to multiples of."""
        steps = 2 ** (len(self.channels) - 1)
        return self.patch[0] * steps, self.patch[1] * steps


@dataclass
class Steering:
    """What blocks are told at one level: mask (B, 1, 1, T) or None; frames (B, T, D) or None."""

    mask: Tensor | None
    frames: Tensor | None


class PatchUNet(nn.Module):
    """Planes (B, P, F, T) and states of frames (B, T, D) -> (B, planes_out, F, T).

    Dense convolutions are what a CPU does fastest, so patches become channels and no layer is
    depthwise. Convolutions see a neighbourhood in frequency only, and harmonics reach further:
    linear layers over all bins join them at the upper levels. A recurrent layer at the bottom
    follows who speaks. The states scale and shift the channels in every block.
    """

    def __init__(self, planes: int, planes_out: int, bins: int, steer: int, shape: PatchShape):
        super().__init__()
        self.shape, channels = shape, shape.channels
        depth, folded = len(channels), shape.patch[0] * shape.patch[1]
        self.rates = [shape.patch[1] * 2**level for level in range(depth)]
        top = ceiling(bins, shape.multiple[0]) // shape.patch[0]
        rows = [top // 2**level for level in range(depth)]

        def level(width_in: int, width: int, number: int) -> Level:
            narrow = shape.full_band[number] if number < len(shape.full_band) else 0
            return Level(width_in, width, shape.blocks, steer, rows[number], narrow)

        pairs = list(pairwise(channels))
        self.enter = nn.Conv2d(planes * folded, channels[0], 3, padding=1)
        self.down = nn.ModuleList(level(width, width, i) for i, width in enumerate(channels))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.bottom = None
        if shape.recurrent:
            self.bottom = Recurrent(channels[-1] * rows[-1], shape.recurrent, steer)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(level(2 * a, a, i) for i, (a, _) in enumerate(pairs))
        self.out = nn.Conv2d(channels[0], planes_out * folded, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.to(memory_format=torch.channels_last)

    def steering(self, states: Tensor | None, mask: Tensor) -> list[Steering]:
        """What blocks are told, by level; states (B, T, D), mask bool (B, T)."""
        frames = ceiling(mask.shape[1], self.shape.multiple[1])
        full = F.pad(mask, (0, frames - mask.shape[1]))
        if states is not None:
            states = F.pad(states * mask[..., None], (0, 0, 0, frames - mask.shape[1]))
        every = bool(full.all())
        return [
            Steering(
                None if every else pooled_mask(full, rate)[:, None, None].float(),
                None if states is None else F.avg_pool1d(states.mT, rate, rate).mT,
            )
            for rate in self.rates
        ]

    def forward(self, planes: Tensor, steering: list[Steering]) -> Tensor:
        """planes (B, P, F, T), zero where padded."""
        bins, frames = planes.shape[-2:]
        room = (ceiling(n, m) for n, m in zip((bins, frames), self.shape.multiple, strict=True))
        x = fold(fit(planes, *room), self.shape.patch)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for number, level in enumerate(self.down):
            x = level(masked(x, steering[number].mask), steering[number])
            if number < len(self.shrink):
                skips.append(x)
                x = self.shrink[number](x)
        if self.bottom is not None:
            x = self.bottom(x, steering[-1])
        for number in reversed(range(len(skips))):
            x = torch.cat([self.grow[number](x), skips[number]], 1)
            x = self.up[number](masked(x, steering[number].mask), steering[number])
        return unfold(self.out(x), self.shape.patch)[..., :bins, :frames]


class Level(nn.Module):
    """A linear layer over all bins (perhaps), then residual blocks."""

    def __init__(self, width_in: int, width: int, blocks: int, steer: int, rows: int, narrow: int):
        super().__init__()
        self.full_band = FullBand(width_in, narrow, rows) if narrow else None
        self.blocks = nn.ModuleList(
            SteeredBlock(width if i else width_in, width, steer) for i in range(blocks)
        )

    def forward(self, x: Tensor, steering: Steering) -> Tensor:
        if self.full_band is not None:
            x = masked(self.full_band(x), steering.mask)
        for block in self.blocks:
            x = block(x, steering)
        return x


class SteeredBlock(nn.Module):
    """Two 3 x 3 convolutions; between them the states of their frame scale and shift the channels."""

    def __init__(self, width_in: int, width: int, steer: int):
        super().__init__()
        self.norm1, self.norm2 = PlaneNorm(width_in), PlaneNorm(width, affine=not steer)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.steer = nn.Linear(steer, 2 * width) if steer else None
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, steering: Steering) -> Tensor:
        h = self.conv1(masked(F.relu(self.norm1(x)), steering.mask))
        h = self.norm2(h)
        if self.steer is not None:
            told = rearrange(self.steer(steering.frames), "b t c -> b c 1 t").to(h.dtype)
            scale, shift = told.chunk(2, 1)
            h = torch.addcmul(shift, h, 1 + scale)
        h = self.conv2(masked(F.relu(h, inplace=True), steering.mask))
        return masked(self.skip(x) + h, steering.mask)


class PlaneNorm(nn.Module):
    """Layer norm over the channels of each place of (B, C, F, T): no place sees another's."""

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

    def __init__(self, size: int, width: int, steer: int):
        super().__init__()
        self.enter = nn.Linear(size + steer, width)
        self.norm = nn.LayerNorm(width)
        self.forth, self.back = (nn.GRU(width, width, batch_first=True) for _ in range(2))
        self.leave = nn.Linear(2 * width, size)

    def forward(self, x: Tensor, steering: Steering) -> Tensor:
        told = rearrange(x, "b c f t -> b t (f c)")
        if steering.frames is not None:
            told = torch.cat([told, steering.frames.to(told)], -1)
        h = F.relu(self.norm(self.enter(told)))
        h = torch.cat([self.forth(h)[0], self._backwards(h, steering)], -1)
        h = rearrange(self.leave(h), "b t (f c) -> b c f t", f=x.shape[2])
        return masked(x + h, steering.mask)

    def _backwards(self, h: Tensor, steering: Steering) -> Tensor:
        """From each item's own last frame."""
        if steering.mask is None:
            return self.back(h.flip(1))[0].flip(1)
        lengths = steering.mask[:, 0, 0].sum(-1).long()
        places = torch.arange(h.shape[1], device=h.device)
        turned = (lengths[:, None] - 1 - places) % h.shape[1]
        index = turned[..., None].expand(-1, -1, h.shape[2])
        return self.back(h.gather(1, index))[0].gather(1, index)
