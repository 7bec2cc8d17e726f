"""A small U-Net for CPUs: dense convolutions on patches of the spectrum, steered by the lips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.conditions import Conditions
from voicediff.layers import ChannelNorm
from voicediff.networks.conditioning import Layout, Sizes, ceiling, fit, pooled_mask
from voicediff.networks.masked import masked
from voicediff.networks.patches import fold, unfold
from voicediff.predictors.base import Predictor
from voicediff.registry import register

PLANES = 6  # log and root magnitude, phase differences in time and in frequency


@dataclass
class Steering:
    """What blocks are told at one level: mask (B, 1, 1, T) or None; frames (B, T, D) or None."""

    mask: Tensor | None
    frames: Tensor | None


@register("predictor", "patch_unet")
class PatchUNet(Predictor):
    """U-Net of dense 3 x 3 convolutions with a complex mask; the choice where there is no GPU.

    Dense convolutions are what a CPU does fastest, so 4 x 2 patches become channels and no layer is
    depthwise. Convolutions see a neighbourhood in frequency only, and harmonics reach further:
    linear layers over all bins join them at the upper levels. A recurrent layer at the bottom
    follows who speaks. Frames (lips) and vectors (identity) scale and shift every block.

    The network sees log and root magnitude, and the *differences* of phase between neighbours in
    time and in frequency: these do not change with the phase of the whole.

    Args:
        channels: of each level; the next level has half the bins and frames.
        blocks: residual blocks per level and side.
        patch: (bins, frames) that become channels.
        full_band: levels from the top with a linear layer over all bins, and its channels.
        recurrent: width of the bidirectional recurrent layer at the bottom; 0 for none.
        hop: share of the window by which frames move on, for the phase a steady tone gains.
        exponent: of the compressed spectrum (the mask acts before compression).
        output: `mask` multiplies y by a complex mask, `map` gives the spectrum itself.
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
        self.patch, self.hop, self.exponent, self.output = patch, hop, exponent, output
        depth = len(channels)
        self.multiple = (patch[0] * 2 ** (depth - 1), patch[1] * 2 ** (depth - 1))
        self.rates = [patch[1] * 2**level for level in range(depth)]
        steer = self.layout.total("frames") + self.layout.total("vector")
        rows = [ceiling(bins, self.multiple[0]) // patch[0] // 2**level for level in range(depth)]
        folded = patch[0] * patch[1]
        self.enter = nn.Conv2d(
            (PLANES + self.layout.total("maps")) * folded, channels[0], 3, padding=1
        )

        def level(width_in: int, width: int, number: int) -> Level:
            narrow = full_band[number] if number < len(full_band) else 0
            return Level(width_in, width, blocks, steer, rows[number], narrow)

        self.down = nn.ModuleList(level(w, w, i) for i, w in enumerate(channels))
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.bottom = Recurrent(channels[-1] * rows[-1], recurrent, steer) if recurrent else None
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(level(2 * a, a, i) for i, (a, _) in enumerate(pairs))
        self.out = nn.Conv2d(channels[0], channels_in * folded, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, y: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        keep = mask[:, None, None].to(y.dtype)
        y = y * keep
        planes = torch.cat([self._features(y) * keep, *self.layout.planes(None, cond)], 1)
        frames, bins = (
            ceiling(n, m) for n, m in zip(y.shape[:1:-1], self.multiple[::-1], strict=True)
        )
        x = fold(fit(planes, bins, frames), self.patch)
        answer = self._network(
            x.contiguous(memory_format=torch.channels_last), self._steering(cond, mask, frames)
        )
        answer = unfold(answer.float(), self.patch)[..., : y.shape[-2], : y.shape[-1]]
        return (answer if self.output == "map" else self._masked(y, answer)) * keep

    def _network(self, x: Tensor, steering: list[Steering]) -> Tensor:
        x = self.enter(x)
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
        return self.out(x)

    def _features(self, y: Tensor) -> Tensor:
        """y (B, 2, F, T) -> (B, PLANES, F, T) of about unit size."""
        re, im = y.float().unbind(1)
        size = (re.square() + im.square() + 1e-12).sqrt()
        unit_re, unit_im = re / size, im / size
        turn = 2 * math.pi * self.hop * torch.arange(y.shape[-2], device=y.device)[:, None]
        before_re, before_im = (F.pad(u, (1, 0))[..., :-1] for u in (unit_re, unit_im))
        # a tone in the middle of a bin turns by `turn` from frame to frame
        turned_re = before_re * turn.cos() - before_im * turn.sin()
        turned_im = before_re * turn.sin() + before_im * turn.cos()
        below_re, below_im = (F.pad(u, (0, 0, 1, 0))[..., :-1, :] for u in (unit_re, unit_im))
        planes = [
            (size + 1e-3).log() / 2 + 1.5,
            4 * size,
            unit_re * turned_re + unit_im * turned_im,
            unit_im * turned_re - unit_re * turned_im,
            unit_re * below_re + unit_im * below_im,
            unit_im * below_re - unit_re * below_im,
        ]
        return torch.stack(planes, 1)

    def _masked(self, y: Tensor, answer: Tensor) -> Tensor:
        """The complex mask of the uncompressed spectrum, applied to the compressed one."""
        re, im = answer.unbind(1)
        re = re + 0.5  # an untrained network halves the mixture
        shrink = (re.square() + im.square() + 1e-4) ** ((self.exponent - 1) / 2)
        re, im = re * shrink, im * shrink
        y_re, y_im = y.unbind(1)
        return torch.stack([y_re * re - y_im * im, y_re * im + y_im * re], 1)

    def _steering(self, cond: Conditions, mask: Tensor, frames: int) -> list[Steering]:
        """What blocks are told, by level."""
        full = F.pad(mask, (0, frames - mask.shape[1]))
        told, vector = self.layout.frames(cond), self.layout.vector(cond)
        if vector is not None:
            vector = vector[:, None].expand(-1, mask.shape[1], -1)
            told = vector if told is None else torch.cat([told, vector], -1)
        if told is not None:
            told = F.pad(told * mask[..., None], (0, 0, 0, frames - mask.shape[1]))
        every = bool(full.all())
        return [
            Steering(
                None if every else pooled_mask(full, rate)[:, None, None].float(),
                None if told is None else F.avg_pool1d(told.mT, rate, rate).mT,
            )
            for rate in self.rates
        ]


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
        self.norm1, self.norm2 = PlaneNorm(width_in), PlaneNorm(width)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.steer = nn.Linear(steer, 2 * width) if steer else None
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, steering: Steering) -> Tensor:
        h = self.conv1(masked(F.silu(self.norm1(x)), steering.mask))
        h = self.norm2(h)
        if self.steer is not None:
            scale, shift = rearrange(self.steer(steering.frames), "b t (n c) -> n b c 1 t", n=2)
            h = h * (1 + scale) + shift
        h = self.conv2(masked(F.silu(h), steering.mask))
        return masked(self.skip(x) + h, steering.mask)


class PlaneNorm(nn.Module):
    """Layer norm over the channels of each place of (B, C, F, T): no place sees another's."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

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
        h = F.silu(self.mix(rearrange(h, "b c f t -> b t (f c)")))
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
        flat = rearrange(x, "b c f t -> b t (f c)")
        told = flat if steering.frames is None else torch.cat([flat, steering.frames.to(flat)], -1)
        h = F.silu(self.norm(self.enter(told)))
        if steering.mask is not None:
            h = h * steering.mask[:, 0, 0, :, None].to(h)
        h = torch.cat([self.forth(h)[0], self._backwards(h, steering)], -1)
        h = rearrange(self.leave(h), "b t (f c) -> b c f t", f=x.shape[2])
        return x + masked(h, steering.mask)

    def _backwards(self, h: Tensor, steering: Steering) -> Tensor:
        """From each item's own last frame."""
        if steering.mask is None:
            return self.back(h.flip(1))[0].flip(1)
        lengths = steering.mask[:, 0, 0].sum(-1).long()
        places = torch.arange(h.shape[1], device=h.device)
        turned = (lengths[:, None] - 1 - places) % h.shape[1]
        index = turned[..., None].expand(-1, -1, h.shape[2])
        return self.back(h.gather(1, index))[0].gather(1, index)
