"""The visual front end of TalkNet, as used in AVDiffuSS."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.encoders.base import LipEncoder
from voicediff.encoders.pretrained import Pretrained
from voicediff.registry import register

# ours -> TalkNet's normalisation of grey levels in [0, 1]
_SCALE, _SHIFT = 0.165 / 0.1688, (0.421 - 0.4161) / 0.1688


@register("encoder", "talknet")
class TalkNet(Pretrained, LipEncoder):
    """TalkNet's lip encoder: 3-D convolution, ResNet-18, temporal convolutions (Tao et al. 2021).

    Section 3.1.1 of the paper, as used in AVDiffuSS (Lee et al. 2024): 1.6 M parameters, for crops of
    32 x 32 or more. Provided for its published weights (`voicediff import-checkpoint` writes the
    file). Freeze it for small batches, so that batch norms use running statistics. Missing frames are
    zero at input and output.

    weights, frozen: see `Pretrained`.
    """

    pretrained = ("enter", "norm", "residual", "temporal", "leave", "leave_norm")

    def __init__(self, dim: int = 64, blocks: int = 5, weights: str = "", frozen: bool = False):
        super().__init__()
        self.dim = dim
        self.enter = nn.Conv3d(1, dim, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(dim, eps=1e-3, momentum=0.01)
        widths = [(dim, dim, 1), (dim, dim, 2), (dim, 2 * dim, 2), (2 * dim, 2 * dim, 2)]
        self.residual = nn.ModuleList(ResidualPair(*sizes) for sizes in widths)
        self.temporal = nn.ModuleList(TemporalBlock(2 * dim) for _ in range(blocks))
        self.leave = nn.Conv1d(2 * dim, dim, 5, padding=2)
        self.leave_norm = nn.BatchNorm1d(dim)
        self._set_pretrained(weights, frozen)

    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        mask = valid[:, None].to(mouth.dtype)  # (B, 1, L)
        x = (mouth * _SCALE + _SHIFT) * mask[:, 0, :, None, None]
        x = F.relu(self.norm(self.enter(x[:, None])))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        frames = x.transpose(1, 2)  # (B, L, D, H, W)
        h = frames.flatten(0, 1)
        for pair in self.residual:
            h = pair(h)
        h = h.mean((2, 3)).unflatten(0, frames.shape[:2]).mT * mask
        for block in self.temporal:
            h = block(h, mask)
        return (F.relu(self.leave_norm(self.leave(h))) * mask).mT


class ResidualPair(nn.Module):
    """Two residual units of two 3 x 3 convolutions; the second adds the first's sum before its norm."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.conv2, self.conv3, self.conv4 = (
            nn.Conv2d(width, width, 3, 1, 1, bias=False) for _ in range(3)
        )
        self.norm1, self.norm2, self.norm3, self.norm4 = (
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01) for _ in range(4)
        )
        self.skip = nn.Conv2d(width_in, width, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        total = self.conv2(F.relu(self.norm1(self.conv1(x))))
        total = total + (x if self.skip is None else self.skip(x))
        h = F.relu(self.norm2(total))
        return F.relu(self.norm4(self.conv4(F.relu(self.norm3(self.conv3(h)))) + total))


class TemporalBlock(nn.Module):
    """Depthwise-separable convolution over frames with a global layer norm (Luo & Mesgarani 2019)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.depthwise = nn.Conv1d(width, width, 3, padding=1, groups=width, bias=False)
        self.slope = nn.PReLU()
        self.scale = nn.Parameter(torch.ones(1, width, 1))
        self.shift = nn.Parameter(torch.zeros(1, width, 1))
        self.pointwise = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.slope(self.depthwise(self.norm(F.relu(x)) * mask)) * mask
        count = mask.sum((1, 2), keepdim=True).clamp(min=1) * h.shape[1]
        mean = h.sum((1, 2), keepdim=True) / count
        variance = ((h - mean) * mask).square().sum((1, 2), keepdim=True) / count
        h = self.scale * (h - mean) * torch.rsqrt(variance + 1e-8) + self.shift
        return x + self.pointwise(h) * mask
