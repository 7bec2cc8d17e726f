"""The lip encoder of lip-reading networks: 3-D convolution, image trunk, temporal convolutions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from voicediff.encoders.base import LipEncoder
from voicediff.encoders.pretrained import Pretrained
from voicediff.networks.layers import ChannelNorm
from voicediff.networks.resnet import (
    Activation,
    Norm,
    ResNetTrunk,
    ShuffleNetTrunk,
    activation,
    image_norm,
)
from voicediff.registry import register


@register("encoder", "lips3d")
class Lips3D(Pretrained, LipEncoder):
    """Lip-reading network: 3-D convolution, ResNet-18 or ShuffleNet v2, temporal convolutions; for GPUs.

    Stafylakis & Tzimiropoulos 2017, with the multi-scale temporal convolutions of Martinez et al.
    2020. Missing frames are skipped after the first layer and share one learned state. Module names
    `frontend3D` and `trunk` are those of published lip-reading weights, which fit ResNet-18 with
    `act: prelu`. On CPUs use `lips`: there the first convolution alone costs more than that whole
    network.

    Args:
        dim: width of the states.
        trunk: `resnet18` (11.2 M) or `shufflenet` (1.2 M at multiplier 1).
        width: of ResNet's first stage; multiplier: of ShuffleNet (0.5, 1.0, 1.5 or 2.0).
        layers, kernels, dropout: of the temporal convolutions; the kernels of a layer act in
            parallel, layer i is dilated by 2^i.
        norm: `batch`, as published, or `group`, for small batches without pretrained weights.
        act: activation of front end and ResNet.
        weights, frozen: see `Pretrained`; they concern front end and trunk, the temporal
            convolutions are always trained.
    """

    pretrained = ("frontend3D", "trunk")

    def __init__(
        self,
        dim: int = 256,
        trunk: Literal["resnet18", "shufflenet"] = "resnet18",
        width: int = 64,
        multiplier: float = 1.0,
        layers: int = 4,
        kernels: tuple[int, ...] = (3, 5, 7),
        dropout: float = 0.1,
        norm: Norm = "batch",
        act: Activation = "prelu",
        weights: str = "",
        frozen: bool = False,
    ):
        super().__init__()
        self.dim = dim
        self.trunk = (
            ResNetTrunk(width, norm, act)
            if trunk == "resnet18"
            else ShuffleNetTrunk(multiplier, norm)
        )
        first = self.trunk.width_in
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, first, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            image_norm(norm, first),
            activation(act, first),
            nn.MaxPool2d(3, 2, 1),
        )
        self.enter = nn.Conv1d(self.trunk.dim, dim, 1)
        self.temporal = nn.ModuleList(
            TemporalScales(dim, kernels, 2**i, dropout) for i in range(layers)
        )
        self.leave = ChannelNorm(dim)
        self.missing = nn.Parameter(torch.randn(dim) / dim)
        self._set_pretrained(weights, frozen)

    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        images = self._images(mouth, valid)
        states = images.new_zeros(*valid.shape, images.shape[-1])
        states[valid] = images
        mask = valid[:, None]
        h = self.enter(states.mT) * mask
        for layer in self.temporal:
            h = layer(h, mask)
        return torch.where(valid[..., None], self.leave(h).mT, self.missing)

    def _images(self, mouth: Tensor, valid: Tensor) -> Tensor:
        """Trunk features (N, D) of the N valid frames only, so that norms exclude missing frames."""
        convolution, *rest = self.frontend3D
        x = (mouth * valid[..., None, None])[:, None]
        h = convolution(x).transpose(1, 2)[valid]  # (N, C, H, W)
        for layer in rest:
            h = layer(h)
        return self.trunk(h)


class TemporalScales(nn.Module):
    """Residual block on (B, D, L): parallel dilated convolutions of several kernel sizes."""

    def __init__(self, dim: int, kernels: tuple[int, ...], dilation: int, dropout: float):
        super().__init__()
        shares = [dim // len(kernels)] * len(kernels)
        shares[0] += dim - sum(shares)
        self.norm = ChannelNorm(dim)
        self.scales = nn.ModuleList(
            nn.Conv1d(dim, share, kernel, padding=dilation * (kernel // 2), dilation=dilation)
            for kernel, share in zip(kernels, shares, strict=True)
        )
        self.act, self.dropout = nn.PReLU(dim), nn.Dropout(dropout)
        self.out = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.norm(x) * mask
        h = self.act(torch.cat([scale(h) for scale in self.scales], 1))
        return (x + self.out(self.dropout(h))) * mask
