"""NCSN++ without time conditioning, as used for the first estimate in StoRM and AVDiffuSS."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from voicediff.networks.conditioning import Sizes
from voicediff.networks.conditions import Conditions
from voicediff.networks.context import Shape
from voicediff.networks.spectral import SpectralNCSNpp
from voicediff.predictors.base import Predictor
from voicediff.registry import register


@register("predictor", "ncsnpp")
class NCSNppPredictor(Predictor):
    """NCSN++ from the mixture to the clean spectrum: StoRM's predictor (Lemercier et al. 2023); for GPUs.

    The published networks are

        StoRM (27.8 M)      {name: ncsnpp, centred: false}
        StoRM (12 M, 6 M)   as above with channels: 96, multipliers: [1, 2, 2, 1] and [1, 1, 1, 1]
        AVDiffuSS (29.9 M)  as StoRM with cross_attention: [128, 64, 32], positions: false

    Conditions: maps are input channels; frames and vectors are added in every residual block; tokens
    are attended to at the levels of `cross_attention`. The options are those of the decoder of this
    name.
    """

    def __init__(
        self,
        channels_in: int = 2,
        bins: int = 256,
        conditions: Sizes | None = None,
        channels: int = 128,
        multipliers: tuple[int, ...] = (1, 2, 2, 2),
        blocks: int = 1,
        attention: tuple[int, ...] = (),
        cross_attention: tuple[int, ...] = (),
        heads: int = 4,
        head_size: int = 16,
        depth: int = 1,
        positions: bool = True,
        streams: Literal["joined", "separate"] = "joined",
        queries: Literal["frames", "places"] = "frames",
        pyramid: bool = True,
        centred: bool = True,
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
        vector = sum(size for kind, size in (conditions or {}).values() if kind == "vector")
        self.network = SpectralNCSNpp(
            channels_in,
            bins,
            shape,
            conditions,
            "predictor ncsnpp",
            embedding=4 * channels if vector else 0,
            centred=centred,
            padded_statistics=padded_statistics,
            channels_last=channels_last,
        )
        self.vector = nn.Linear(vector, 4 * channels) if vector else None
        self.out = nn.Conv2d(self.network.planes, channels_in, 1)

    def forward(self, y: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        prepared = self.network.prepare([], cond, mask)
        vector = self.network.layout.vector(cond)
        embedding = None if vector is None else F.silu(self.vector(vector))
        return self.out(self.network(y, embedding, prepared)) * prepared.output_mask
