"""The text encoder of Glow-TTS and Grad-TTS, with rotary positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.encoders.base import Encoder
from voicediff.networks.layers import ConvBlock, length_mask, rotate_positions
from voicediff.registry import register


@register("encoder", "transformer")
class TransformerEncoder(Encoder):
    """Text encoder of Glow-TTS and Grad-TTS: pre-net and transformer (Kim et al. 2020, appendix A.1).

    Rotary positions (Su et al. 2021) replace the relative positions of the papers, so that PyTorch's
    fused attention can be used. Recommended for hours of data.

    Args:
        symbols: size of the vocabulary (given by the task).
        dim, heads, layers, hidden, kernel: 192, 2, 6, 768, 3 in Grad-TTS.
        prenet: number of convolution blocks before the attention layers.
        dropout: everywhere.
    """

    def __init__(
        self,
        symbols: int,
        dim: int = 192,
        heads: int = 2,
        layers: int = 6,
        hidden: int = 768,
        kernel: int = 3,
        prenet: int = 3,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.dim = dim
        self.embedding = nn.Embedding(symbols, dim)
        nn.init.normal_(self.embedding.weight, 0.0, dim**-0.5)
        self.prenet = nn.ModuleList(ConvBlock(dim, 5, dropout) for _ in range(prenet))
        self.layers = nn.ModuleList(
            _Layer(dim, heads, hidden, kernel, dropout) for _ in range(layers)
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        keep = length_mask(lengths, inputs.shape[1])  # (B, L)
        x = (self.embedding(inputs) * self.dim**0.5).mT * keep[:, None]
        for block in self.prenet:
            x = block(x, keep[:, None])
        x = x.mT
        for layer in self.layers:
            x = layer(x, keep)
        return x * keep[..., None]


class _Layer(nn.Module):
    """Attention and feed-forward convolutions, each behind a residual and a norm."""

    def __init__(self, dim: int, heads: int, hidden: int, kernel: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inner = nn.Conv1d(dim, hidden, kernel, padding=kernel // 2)
        self.outer = nn.Conv1d(hidden, dim, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        x = x + self._drop(self._attend(self.norm1(x), keep))
        return (x + self._drop(self._feed(self.norm2(x), keep))) * keep[..., None]

    def _attend(self, x: Tensor, keep: Tensor) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "b l (n h d) -> n b h l d", n=3, h=self.heads)
        q, k = rotate_positions(q), rotate_positions(k)
        drop = self.dropout if self.training else 0.0
        mask = keep[:, None, None, :]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
        return self.out(rearrange(y, "b h l d -> b l (h d)"))

    def _feed(self, x: Tensor, keep: Tensor) -> Tensor:
        keep = keep[:, None]
        hidden = self._drop(torch.relu(self.inner(x.mT * keep)))
        return (self.outer(hidden * keep) * keep).mT

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
