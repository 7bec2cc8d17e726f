"""Resampling of a feature map by 2 with a short FIR filter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FIR(nn.Module):
    """The separable [1, 3, 3, 1] filter of StyleGAN2 and NCSN++ (Song et al. 2021, appendix H).

    Implemented as a strided depthwise convolution and its transpose, which computes only the samples
    that are kept: several times faster than filtering at the high rate.
    """

    def __init__(self):
        super().__init__()
        tap = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(tap, tap)[None, None], persistent=False)

    def down(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C, F / 2, T / 2); constants are preserved."""
        return F.conv2d(x, self._per_channel(x) / 64, stride=2, padding=1, groups=x.shape[1])

    def up(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C, 2 F, 2 T); constants are preserved except at the borders."""
        kernel = self._per_channel(x) / 16
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    def _per_channel(self, x: Tensor) -> Tensor:
        return self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
