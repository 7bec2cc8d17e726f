"""Face identity from one image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.encoders.base import FaceEncoder
from voicediff.encoders.pretrained import Pretrained
from voicediff.networks.resnet import Norm, ResNetTrunk, activation, image_norm
from voicediff.registry import register


@register("encoder", "face_resnet18")
class FaceResNet18(Pretrained, FaceEncoder):
    """ResNet-18 on one image of the face: identity embedding, as in VisualVoice (Gao & Grauman 2021).

    He et al. 2016; the output has 128 numbers of Euclidean norm 1. Module names are those of
    torchvision, so its ImageNet weights can be loaded (without the last layer, whose size differs).

    Args:
        dim: width of the vector.
        width: of the first stage, 64 as published.
        unit: normalise the vector to length 1.
        norm: `batch`, as published, or `group`, for small batches without pretrained weights.
        weights, frozen: see `Pretrained`; they concern all layers but the last.
    """

    pretrained = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")

    def __init__(
        self,
        dim: int = 128,
        width: int = 64,
        unit: bool = True,
        norm: Norm = "batch",
        weights: str = "",
        frozen: bool = False,
    ):
        super().__init__()
        self.dim, self.unit = dim, unit
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = image_norm(norm, width), activation("relu", width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        trunk = ResNetTrunk(width, norm)
        for name, stage in trunk.named_children():
            self.add_module(name, stage)
        self.fc = nn.Linear(trunk.dim, dim)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]), persistent=False)
        self._set_pretrained(weights, frozen)

    def forward(self, face: Tensor) -> Tensor:
        x = (face - self.mean[:, None, None]) / self.std[:, None, None]
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        vector = self.fc(x.mean((2, 3)))
        return F.normalize(vector, dim=-1) if self.unit else vector
