"""A convolutional encoder with local context."""

from __future__ import annotations

from torch import Tensor, nn

from voicediff.encoders.base import Encoder
from voicediff.networks.layers import ConvBlock, length_mask
from voicediff.registry import register


@register("encoder", "conv")
class ConvEncoder(Encoder):
    """Embedding and residual convolutions: local context, trains in minutes on a CPU.

    Recommended for small corpora; `transformer` uses the context of the whole line, but needs more
    data.

    Args:
        symbols: size of the vocabulary (given by the task).
        dim: width of the states.
        layers, kernel: number of residual blocks and their kernel size (in positions).
        dropout: in each block.
    """

    def __init__(
        self, symbols: int, dim: int = 128, layers: int = 3, kernel: int = 3, dropout: float = 0.1
    ):
        super().__init__()
        self.dim = dim
        self.embedding = nn.Embedding(symbols, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, kernel, dropout) for _ in range(layers))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        mask = length_mask(lengths, inputs.shape[1])[:, None]  # (B, 1, L)
        x = self.embedding(inputs).mT * mask
        for block in self.blocks:
            x = block(x, mask)
        return x.mT
