"""ResNet-18 and ShuffleNet v2 for images, with the parameter names of torchvision.

Weights files of torchvision's networks can be loaded; torchvision itself is not needed.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Norm = Literal["batch", "group"]
Activation = Literal["relu", "prelu"]


def image_norm(kind: Norm, width: int) -> nn.Module:
    """Batch norm (published weights), or group norm, whose result does not depend on the batch."""
    return nn.BatchNorm2d(width) if kind == "batch" else nn.GroupNorm(math.gcd(8, width), width)


def activation(kind: Activation, width: int) -> nn.Module:
    return nn.PReLU(width) if kind == "prelu" else nn.ReLU(inplace=True)


class StridedPointwise(nn.Conv2d):
    """A strided 1 x 1 convolution: subsampling by `stride`, then a plain 1 x 1 convolution.

    Equal to `nn.Conv2d`, whose backward pass on CPUs with AVX-512 (oneDNN 3.10, PyTorch 2.11) writes
    out of bounds for channels-last images of few channels, which crashes the process later.
    """

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        return F.conv2d(x[..., ::rows, ::columns], self.weight, self.bias)


class BasicBlock(nn.Module):
    """Residual block of two 3 x 3 convolutions (He et al. 2016, fig. 2)."""

    def __init__(self, width_in: int, width: int, stride: int, norm: Norm, act: Activation):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = image_norm(norm, width), activation(act, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = image_norm(norm, width), activation(act, width)
        self.downsample = None
        if stride > 1 or width_in != width:
            self.downsample = nn.Sequential(
                StridedPointwise(width_in, width, 1, stride, bias=False), image_norm(norm, width)
            )

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(h + (x if self.downsample is None else self.downsample(x)))


class ResNetTrunk(nn.Module):
    """The four stages of ResNet-18 and the mean over the image: (N, C, H, W) -> (N, `dim`)."""

    def __init__(self, width: int = 64, norm: Norm = "batch", act: Activation = "relu"):
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        for i in range(1, 5):
            first = BasicBlock(widths[i - 1], widths[i], 1 if i == 1 else 2, norm, act)
            second = BasicBlock(widths[i], widths[i], 1, norm, act)
            self.add_module(f"layer{i}", nn.Sequential(first, second))
        self.width_in, self.dim = width, widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((2, 3))


#: widths of the three stages and of the last convolution, by the network's multiplier
SHUFFLENET = {
    0.5: (24, 48, 96, 192, 1024),
    1.0: (24, 116, 232, 464, 1024),
    1.5: (24, 176, 352, 704, 1024),
    2.0: (24, 244, 488, 976, 2048),
}


class ShuffleBlock(nn.Module):
    """ShuffleNet v2 unit: channel split, convolutions on one half, shuffle (Ma et al. 2018, fig. 3)."""

    def __init__(self, width_in: int, width: int, stride: int, norm: Norm):
        super().__init__()
        half, self.stride = width // 2, stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                *_depthwise(width_in, stride, norm), *_pointwise(width_in, half, norm)
            )
        self.branch2 = nn.Sequential(
            *_pointwise(width_in if stride > 1 else half, half, norm),
            *_depthwise(half, stride, norm),
            *_pointwise(half, half, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, worked = (self.branch1(x), x) if self.stride > 1 else x.chunk(2, 1)
        joined = torch.cat([kept, self.branch2(worked)], 1)
        return rearrange(joined, "n (half c) h w -> n (c half) h w", half=2)


class ShuffleNetTrunk(nn.Module):
    """ShuffleNet v2 (Ma et al. 2018) after its first convolution: (N, 24, H, W) -> (N, `dim`)."""

    def __init__(self, multiplier: float = 1.0, norm: Norm = "batch"):
        super().__init__()
        *widths, self.dim = SHUFFLENET[multiplier]
        self.width_in = widths[0]
        for i, repeats in enumerate((4, 8, 4)):
            blocks = [ShuffleBlock(widths[i], widths[i + 1], 2, norm)]
            blocks += [
                ShuffleBlock(widths[i + 1], widths[i + 1], 1, norm) for _ in range(repeats - 1)
            ]
            self.add_module(f"stage{i + 2}", nn.Sequential(*blocks))
        self.conv5 = nn.Sequential(*_pointwise(widths[-1], self.dim, norm))

    def forward(self, x: Tensor) -> Tensor:
        for stage in (self.stage2, self.stage3, self.stage4, self.conv5):
            x = stage(x)
        return x.mean((2, 3))


def _depthwise(width: int, stride: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
    return [conv, image_norm(norm, width)]


def _pointwise(width_in: int, width: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width, 1, bias=False)
    return [conv, image_norm(norm, width), nn.ReLU(inplace=True)]
