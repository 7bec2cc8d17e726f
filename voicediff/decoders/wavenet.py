"""DiffSinger's WaveNet: dilated convolutions over frames with gates and skip connections."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.decoders.sequence import SequenceDecoder, over_time
from voicediff.networks.conditioning import Sizes
from voicediff.registry import register


@register("decoder", "wavenet")
class WaveNet(SequenceDecoder):
    """WaveNet over frames, with bins as channels: DiffSinger's denoiser (Liu et al. 2022, appendix A).

    After DiffWave (Kong et al. 2021). The published sizes are

        {name: wavenet, layers: 20, channels: 256, dilation_cycle: 4, use_mu: false}

    (the defaults but `use_mu`; the original paper's dilation_cycle is 1). Conditions: frames enter
    every layer; maps and mu join the input projection; vectors join the time embedding.

    time_scale, time_shift: the embedded step is time_scale t + time_shift. reversed_time,
        output_scale: for weights trained with 1 - t, or with an output of opposite sign.
    """

    def __init__(
        self,
        channels_in: int = 1,
        bins: int = 80,
        conditions: Sizes | None = None,
        layers: int = 20,
        channels: int = 256,
        dilation_cycle: int = 4,
        use_mu: bool = True,
        time_scale: float = 1000.0,
        time_shift: float = 0.0,
        output_scale: float = 1.0,
        reversed_time: bool = False,
    ):
        super().__init__(
            channels_in,
            bins,
            conditions,
            "wavenet",
            channels,
            use_mu,
            time_scale,
            time_shift,
            output_scale,
            reversed_time,
            nn.Mish,
        )
        frames = self.layout.total("frames")
        self.blocks = nn.ModuleList(
            GatedBlock(channels, frames, 2 ** (i % dilation_cycle)) for i in range(layers)
        )
        self.skip = nn.Linear(channels, channels)
        nn.init.kaiming_normal_(self.skip.weight)

    def conditioned(self, frames: Tensor | None) -> list[Tensor | None]:
        if frames is None:
            return [None] * len(self.blocks)
        return [block.frames(frames) for block in self.blocks]

    def layers(
        self, h: Tensor, time: Tensor, conditioners: list[Tensor | None], mask: Tensor | None
    ) -> Tensor:
        h, total = F.relu(h), 0.0
        for block, conditioner in zip(self.blocks, conditioners, strict=True):
            h, skip = block(h, time, conditioner, mask)
            total = total + skip
        return F.relu(self.skip(total / math.sqrt(len(self.blocks))))


class GatedBlock(nn.Module):
    """A dilated convolution with gated tanh; returns residual and skip output."""

    def __init__(self, channels: int, frames: int, dilation: int):
        super().__init__()
        self.time = nn.Linear(channels, channels)
        self.frames = nn.Linear(frames, 2 * channels) if frames else None
        self.conv = nn.Conv1d(channels, 2 * channels, 3, padding=dilation, dilation=dilation)
        self.out = nn.Linear(channels, 2 * channels)

    def forward(
        self, h: Tensor, time: Tensor, conditioner: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y = over_time(self.conv, h + self.time(time)[:, None], mask)
        y = y if conditioner is None else y + conditioner
        gate, signal = y.chunk(2, -1)
        residual, skip = self.out(torch.sigmoid(gate) * torch.tanh(signal)).chunk(2, -1)
        return (h + residual) / math.sqrt(2), skip
