"""An encoder without context: an embedding and a small network at each position."""

from __future__ import annotations

from torch import Tensor, nn

from voicediff.encoders.base import Encoder
from voicediff.networks.layers import length_mask
from voicediff.registry import register


@register("encoder", "embedding")
class EmbeddingEncoder(Encoder):
    """Embedding and a two-layer network per position, without context: for pitches.

    Args:
        symbols: size of the vocabulary (given by the task).
        dim: width of the states.
        dropout: on the hidden layer.
    """

    def __init__(self, symbols: int, dim: int = 64, dropout: float = 0.0):
        super().__init__()
        self.dim = dim
        self.embedding = nn.Embedding(symbols, dim)
        self.net = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        x = self.embedding(inputs)  # (B, L, D)
        return (x + self.net(x)) * length_mask(lengths, inputs.shape[1])[..., None]
