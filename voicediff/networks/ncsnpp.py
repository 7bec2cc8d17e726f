"""NCSN++ on the time-frequency plane, used by the decoder and the predictor of this name."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.errors import ConfigError
from voicediff.networks.blocks import ResidualBlock, SpaceAttention, conv, norm
from voicediff.networks.context import Context, Shape
from voicediff.networks.crossattention import FrameTransformer
from voicediff.networks.fir import FIR
from voicediff.networks.masked import masked


class NCSNpp(nn.Module):
    """NCSN++: U-Net of residual blocks with resampling, and input and output pyramids.

    Song et al. 2021, appendix H (BigGAN blocks, FIR resampling, skip rescaling), as used for spectra
    by Richter et al. 2023. planes (B, P, F, T) -> (B, P, F, T), F and T multiples of `shape.multiple`;
    `embedding` is the size of the time embedding (0: none), `frames` that of frame conditions,
    `tokens` the dimensions of the token conditions.
    """

    def __init__(
        self,
        planes: int,
        bins: int,
        shape: Shape,
        embedding: int = 0,
        frames: int = 0,
        tokens: dict[str, int] | None = None,
    ):
        super().__init__()
        if shape.cross_attention and not tokens:
            raise ConfigError("ncsnpp: cross_attention needs a condition of kind tokens")
        if tokens and not shape.cross_attention:
            raise ConfigError(
                "ncsnpp: conditions of kind tokens need levels of cross_attention (in bins)"
            )
        if shape.channels % 4:
            raise ConfigError(f"ncsnpp: channels {shape.channels} must be a multiple of 4")
        widths = [shape.channels * multiplier for multiplier in shape.multipliers]
        levels = range(len(widths))
        self.fir = FIR()
        self.pyramid = shape.pyramid
        self.input = conv(planes, shape.channels, 3)

        def block(width_in: int, width: int, resample: str = "") -> ResidualBlock:
            return ResidualBlock(
                width_in, width, embedding, frames, shape.dropout, self.fir, resample
            )

        def attention(level: int, width: int) -> nn.Module | None:
            if bins >> level in shape.cross_attention:
                return FrameTransformer(width, bins >> level, shape, tokens or {})
            return SpaceAttention(width) if bins >> level in shape.attention else None

        skips, width = [shape.channels], shape.channels
        self.down = nn.ModuleList()
        for level in levels:
            steps = []
            for _ in range(shape.blocks):
                steps.append(Step(block(width, widths[level]), attention(level, widths[level])))
                width = widths[level]
                skips.append(width)
            shrink = block(width, width, "down") if level < levels[-1] else None
            combine = conv(planes, width, 1) if shrink and shape.pyramid else None
            self.down.append(Down(steps, shrink, combine))
            if shrink:
                skips.append(width)
        self.middle = nn.ModuleList(
            [Step(block(width, width), SpaceAttention(width)), Step(block(width, width), None)]
        )
        self.up = nn.ModuleList()
        for level in reversed(levels):
            blocks = []
            for _ in range(shape.blocks + 1):
                blocks.append(block(width + skips.pop(), widths[level]))
                width = widths[level]
            out = Out(width, planes) if shape.pyramid else None
            grow = block(width, width, "up") if level else None
            self.up.append(Up(blocks, attention(level, width), out, grow))
        self.out = None if shape.pyramid else Out(width, planes)

    def forward(self, planes: Tensor, context: Context) -> Tensor:
        skips, low = [self.input(planes)], planes
        for level, down in enumerate(self.down):
            for step in down.steps:
                skips.append(step(skips[-1], context, level))
            if down.shrink is None:
                continue
            h = down.shrink(skips[-1], context, level)
            if down.combine is not None:
                low = masked(self.fir.down(low), context.masks[level + 1])
                h = h + down.combine(low)
            skips.append(h)
        h = skips[-1]
        for step in self.middle:
            h = step(h, context, len(self.down) - 1)
        output = None
        for level, up in zip(reversed(range(len(self.down))), self.up, strict=True):
            for block in up.blocks:
                h = block(torch.cat([h, skips.pop()], 1), context, level)
            if up.attention is not None:
                h = up.attention(h, context, level)
            if up.out is not None:
                part = masked(up.out(h, context, level), context.masks[level])
                output = part if output is None else self.fir.up(output) + part
                output = masked(output, context.masks[level])
            if up.grow is not None:
                h = up.grow(h, context, level)
        return output if self.out is None else self.out(h, context, 0)

    def residual_blocks(self) -> Iterator[tuple[int, ResidualBlock]]:
        """(level at which frame conditions are added, block) in the order of execution."""
        last = len(self.down) - 1
        for level, down in enumerate(self.down):
            yield from ((level, step.block) for step in down.steps)
            if down.shrink is not None:
                yield level + 1, down.shrink
        yield from ((last, step.block) for step in self.middle)
        for level, up in zip(reversed(range(last + 1)), self.up, strict=True):
            yield from ((level, block) for block in up.blocks)
            if up.grow is not None:
                yield level - 1, up.grow

    def transformers(self) -> Iterator[tuple[int, FrameTransformer]]:
        """(level, cross-attention) in the order of execution."""
        last = len(self.down) - 1
        down = [(i, s.attention) for i, d in enumerate(self.down) for s in d.steps]
        up = [(last - i, u.attention) for i, u in enumerate(self.up)]
        return ((i, a) for i, a in down + up if isinstance(a, FrameTransformer))


class Step(nn.Module):
    """A residual block and optional attention."""

    def __init__(self, block: ResidualBlock, attention: nn.Module | None):
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, x: Tensor, context: Context, level: int) -> Tensor:
        x = self.block(x, context, level)
        return x if self.attention is None else self.attention(x, context, level)


class Down(nn.Module):
    """The modules of one level of the encoder path."""

    def __init__(self, steps: list[Step], shrink: nn.Module | None, combine: nn.Module | None):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.shrink, self.combine = shrink, combine


class Up(nn.Module):
    """The modules of one level of the decoder path."""

    def __init__(
        self,
        blocks: list[ResidualBlock],
        attention: nn.Module | None,
        out: nn.Module | None,
        grow: nn.Module | None,
    ):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attention, self.out, self.grow = attention, out, grow


class Out(nn.Module):
    """Norm, SiLU and a 3 x 3 convolution, initialised at zero."""

    def __init__(self, width: int, planes: int):
        super().__init__()
        self.norm = norm(width)
        self.conv = conv(width, planes, 3, zero=True)

    def forward(self, x: Tensor, context: Context, level: int) -> Tensor:
        h = F.silu(self.norm(x, context.masks[level]))
        return self.conv(masked(h, context.masks[level]))
