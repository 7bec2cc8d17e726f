"""Normalisation with statistics of the valid frames only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedGroupNorm(nn.GroupNorm):
    """GroupNorm over (C / groups, F, valid frames); Wu & He 2018, with a mask.

    x (B, C, F, T), mask float (B, 1, 1, T) or None when every frame is valid. Padded frames of the
    result are undefined: mask it before a convolution.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        share = mask.float().mean((1, 2, 3)).clamp(min=1e-6)[:, None, None]  # of valid frames
        grouped = (x * mask).float().unflatten(1, (self.num_groups, -1))
        # Padded frames are zero, so moments over all frames need only be divided by the share.
        mean = grouped.mean((2, 3, 4)).unsqueeze(-1) / share
        centred = (grouped - mean[..., None, None]) * mask.unsqueeze(1)
        variance = centred.square().mean((2, 3, 4)).unsqueeze(-1) / share
        scale = self.weight.unflatten(0, (self.num_groups, -1)) * torch.rsqrt(variance + self.eps)
        shift = self.bias.unflatten(0, (self.num_groups, -1)) - mean * scale
        scale, shift = (s.flatten(1)[..., None, None].to(x.dtype) for s in (scale, shift))
        return torch.addcmul(shift, x, scale)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x with zeros where the mask is; x itself when there is no mask."""
    return x if mask is None else x * mask
