"""NCSN++ as a score network for complex spectra: SGMSE+, StoRM and AVDiffuSS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.decoders.base import Decoder, Prepared
from voicediff.networks.conditioning import Sizes
from voicediff.networks.conditions import Conditions
from voicediff.networks.context import Shape
from voicediff.networks.layers import per_item
from voicediff.networks.spectral import PreparedPlanes, SpectralNCSNpp
from voicediff.registry import register


@dataclass
class PreparedNCSNpp(Prepared):
    """Prepared inputs of the network, and the vector's part of the time embedding."""

    network: PreparedPlanes
    vector: Tensor | None


class FourierTime(nn.Module):
    """Random Fourier features of log t (Tancik et al. 2020): (B,) -> (B, 2 size)."""

    def __init__(self, size: int, scale: float):
        super().__init__()
        self.weight = nn.Parameter(scale * torch.randn(size), requires_grad=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = 2 * math.pi * t[:, None] * self.weight
        return torch.cat([angles.sin(), angles.cos()], -1)


@register("decoder", "ncsnpp")
class NCSNppDecoder(Decoder):
    """NCSN++ for complex spectra (Song et al. 2021; Richter et al. 2023), as in SGMSE+; for GPUs.

    Recommended for separation and enhancement. The published networks are

        SGMSE+ (65.6 M)    {name: ncsnpp, divide: before}
        SGMSE+ v2          {name: ncsnpp}
        SGMSE+ 48 kHz      {name: ncsnpp, attention: [], pyramid: false, divide: after}
        StoRM (27.8 M)     {name: ncsnpp, multipliers: [1, 2, 2, 2], blocks: 1, attention: [],
                            centred: false, divide: before}
        StoRM (12 M, 6 M)  as above with channels: 96, multipliers: [1, 2, 2, 1] and [1, 1, 1, 1]
        AVDiffuSS (30.3 M) as StoRM with cross_attention: [128, 64, 32], positions: false

    Conditions: maps are input channels behind mu; frames are added in every residual block;
    vectors join the time embedding; tokens are attended to at the levels of `cross_attention`.

    attention, cross_attention: levels, named by their number of bins. heads, head_size, depth,
    positions, streams, queries: of the cross-attention, see `networks.ncsnpp.Shape`. pyramid: input and output
    skips at every level. divide: by t before or after the last 1 x 1 convolution, or not.
    centred: false feeds 2 x - 1. log_time: embed log t, not t. output_scale: factor of the output.
    padded_statistics: include padded frames in norms and attention, as the published weights did.
    """

    def __init__(
        self,
        channels_in: int = 2,
        bins: int = 256,
        conditions: Sizes | None = None,
        channels: int = 128,
        multipliers: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 2),
        blocks: int = 2,
        attention: tuple[int, ...] = (16,),
        cross_attention: tuple[int, ...] = (),
        heads: int = 4,
        head_size: int = 16,
        depth: int = 1,
        positions: bool = True,
        streams: Literal["joined", "separate"] = "joined",
        queries: Literal["frames", "places"] = "frames",
        pyramid: bool = True,
        fourier_scale: float = 16.0,
        log_time: bool = True,
        divide: Literal["no", "before", "after"] = "no",
        centred: bool = True,
        output_scale: float = 1.0,
        use_mu: bool = True,
        dropout: float = 0.0,
        padded_statistics: bool = False,
        channels_last: bool = True,
    ):
        super().__init__()
        shape = Shape(
            channels,
            multipliers,
            blocks,
            attention,
            cross_attention,
            pyramid,
            dropout,
            heads,
            head_size,
            depth,
            positions,
            streams,
            queries,
        )
        self.divide, self.output_scale, self.log_time = divide, output_scale, log_time
        embedding = 4 * channels
        self.time = nn.Sequential(
            FourierTime(channels, fourier_scale),
            nn.Linear(2 * channels, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
        )
        self.network = SpectralNCSNpp(
            channels_in * (2 if use_mu else 1),
            bins,
            shape,
            conditions,
            "decoder ncsnpp",
            embedding=embedding,
            centred=centred,
            padded_statistics=padded_statistics,
            channels_last=channels_last,
        )
        vector = self.network.layout.total("vector")
        self.vector = nn.Linear(vector, embedding) if vector else None
        self.out = nn.Conv2d(self.network.planes, channels_in, 1)
        self.use_mu = use_mu

    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> PreparedNCSNpp:
        own = [mu] if self.use_mu else []
        vector = self.network.layout.vector(cond)
        return PreparedNCSNpp(
            self.network.prepare(own, cond, mask),
            None if vector is None else self.vector(vector),
        )

    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: PreparedNCSNpp) -> Tensor:
        features = time_in.clamp(min=1e-5).log() if self.log_time else time_in
        time = self.time(features)
        if prepared.vector is not None:
            time = time + prepared.vector
        h = self.network(x_in, F.silu(time), prepared.network)
        if self.divide == "before":
            h = h / per_item(time_in, h)
        h = self.out(h)
        if self.divide == "after":
            h = h / per_item(time_in, h)
        return self.output_scale * h * prepared.network.output_mask
