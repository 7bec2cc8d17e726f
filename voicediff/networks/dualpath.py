"""Dual-path blocks: LSTM along frequency, LSTM along time, self-attention between frames."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from voicediff.networks.layers import length_mask


class DualPathBlock(nn.Module):
    """One block of TF-GridNet (Wang et al. 2023, section III): x (B, T, F, C) -> like x.

    Norms are over the channels of one bin, and the recurrence in time stops at each item's length,
    so padded frames have no effect.
    """

    def __init__(
        self,
        channels: int,
        rows: int,
        hidden: int,
        kernel: int,
        stride: int,
        heads: int,
        head_size: int,
    ):
        super().__init__()
        self.frequency = RecurrentPath(channels, hidden, kernel, stride)
        self.time = RecurrentPath(channels, hidden, kernel, stride)
        self.attention = FrameAttention(channels, rows, heads, head_size)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """lengths (B,) of the items in frames; None without padding."""
        frames, rows = x.shape[1:3]
        x = self.frequency(rearrange(x, "b t f c -> (b t) f c"), None)
        x = rearrange(x, "(b t) f c -> (b f) t c", t=frames)
        x = self.time(x, None if lengths is None else lengths.repeat_interleave(rows))
        x = rearrange(x, "(b f) t c -> b t f c", f=rows)
        keep = None if lengths is None else length_mask(lengths, frames)
        return self.attention(x, keep)


class RecurrentPath(nn.Module):
    """Bidirectional LSTM over windows of `kernel` positions every `stride`: (N, L, C) -> like x."""

    def __init__(self, channels: int, hidden: int, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = max(kernel, stride), stride
        self.norm = nn.LayerNorm(channels)
        self.lstm = nn.LSTM(channels * self.kernel, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, channels * stride)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        length = x.shape[1]
        h = self.norm(x)
        if lengths is not None:
            h = h * length_mask(lengths, length)[..., None]
        steps = -(-length // self.stride)
        before = (self.kernel - self.stride) // 2
        whole = (steps - 1) * self.stride + self.kernel
        h = F.pad(h, (0, 0, before, whole - before - length)).unfold(1, self.kernel, self.stride)
        h = self._recurrent(h.flatten(2), lengths)
        return x + rearrange(self.out(h), "n l (s c) -> n (l s) c", s=self.stride)[:, :length]

    def _recurrent(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return self.lstm(h)[0]
        # packing requires at least one step per item; callers mask the result
        steps = (-(-lengths // self.stride)).clamp(min=1).cpu()
        packed = pack_padded_sequence(h, steps, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], True, total_length=h.shape[1])[0]


class FrameAttention(nn.Module):
    """Self-attention between frames; a token is one frame with all bins: (B, T, F, C) -> like x."""

    def __init__(self, channels: int, rows: int, heads: int, head_size: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.q, self.k = (nn.Linear(channels, heads * head_size) for _ in range(2))
        self.v, self.out = (nn.Linear(channels, channels) for _ in range(2))
        self.q_norm, self.k_norm = (nn.LayerNorm(rows * head_size) for _ in range(2))
        self.act = nn.PReLU()

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        """keep bool (B, T): frames that are attended to."""
        h, rows = self.norm(x), x.shape[2]
        q, k = self.q_norm(self._split(self.q(h))), self.k_norm(self._split(self.k(h)))
        mask = None
        if keep is not None:
            mask = (keep | ~keep.any(-1, keepdim=True))[:, None, None]
        h = F.scaled_dot_product_attention(q, k, self._split(self.v(h)), attn_mask=mask)
        h = rearrange(h, "b h t (f e) -> b t f (h e)", f=rows)
        return x + self.act(self.out(h))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b t f (h e) -> b h t (f e)", h=self.heads)
