"""ResNet-18 and ShuffleNet v2 trunks for pictures, with the parameter names of torchvision's.

Whoever has a file of weights for those networks can load it; nothing of torchvision is needed.
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


def picture_norm(kind: Norm, width: int) -> nn.Module:
    """Over a batch (the published weights), or over each picture: then batches of any size agree."""
    return nn.BatchNorm2d(width) if kind == "batch" else nn.GroupNorm(math.gcd(8, width), width)


def activation(kind: Activation, width: int) -> nn.Module:
    return nn.PReLU(width) if kind == "prelu" else nn.ReLU(inplace=True)


class PickedPixels(nn.Conv2d):
    """A strided 1 x 1 convolution: every `stride`-th pixel is picked, then mixed by channels.

    The same as `nn.Conv2d`, whose backward pass on CPUs with AVX-512 (oneDNN 3.10, PyTorch 2.11)
    writes past its scratch memory where pictures are channels-last and of few channels:
    the process dies later, somewhere else.
    """

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        return F.conv2d(x[..., ::rows, ::columns], self.weight, self.bias)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions behind a shortcut (He et al. 2016, fig. 2)."""

    def __init__(self, width_in: int, width: int, stride: int, norm: Norm, act: Activation):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = picture_norm(norm, width), activation(act, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = picture_norm(norm, width), activation(act, width)
        self.downsample = None
        if stride > 1 or width_in != width:
            self.downsample = nn.Sequential(
                PickedPixels(width_in, width, 1, stride, bias=False), picture_norm(norm, width)
            )

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(h + (x if self.downsample is None else self.downsample(x)))


class ResNetTrunk(nn.Module):
    """The four stages of ResNet-18 and the mean over the picture: (N, C, H, W) -> (N, `dim`)."""

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
    """Half of the channels pass, half are convolved, then they are shuffled (Ma et al. 2018, fig. 3)."""

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
    """ShuffleNet v2 behind its first convolution: (N, 24, H, W) -> (N, `dim`); a tenth of ResNet-18."""

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
    return [conv, picture_norm(norm, width)]


def _pointwise(width_in: int, width: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width, 1, bias=False)
    return [conv, picture_norm(norm, width), nn.ReLU(inplace=True)]
