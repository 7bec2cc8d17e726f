"""A lip encoder for CPUs: 2-D convolutions on stacks of neighbouring frames."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from voicediff.encoders.base import LipEncoder
from voicediff.networks.layers import ConvBlock
from voicediff.registry import register


@register("encoder", "lip_stacks")
class LipStacks(LipEncoder):
    """Strided 2-D convolutions on three neighbouring frames, then convolutions in time; for CPUs.

    Each frame with the previous and the next one are the channels of the first layer. It thus
    captures motion without a 3-D convolution, which would cost more than all other layers. The
    validity of the three frames is an input of the convolutions in time.

    Args:
        dim: width of the states.
        channels: of the strided convolutions; each halves the image, which starts at 88 x 88.
        shrink: factor by which the image is averaged down before that.
        layers, kernel: residual blocks in time, and their kernel in frames of video.
        dropout: in these blocks.
    """

    def __init__(
        self,
        dim: int = 96,
        channels: tuple[int, ...] = (16, 32, 48, 64),
        shrink: int = 1,
        layers: int = 2,
        kernel: int = 5,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.dim, self.shrink = dim, shrink
        widths = (3, *channels)
        self.pictures = nn.ModuleList(
            nn.Conv2d(a, b, 3 if i else 5, 2, 1 if i else 2)
            for i, (a, b) in enumerate(pairwise(widths))
        )
        for conv in self.pictures:
            # no norms, which would double the cost: the initialisation keeps the variance
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        self.narrow = nn.Conv2d(channels[-1], 16, 1)
        side = -(-(88 // shrink) // 2 ** len(channels))
        self.enter = nn.Linear(16 * side * side + 3, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, kernel, dropout) for _ in range(layers))
        self.reach = layers * (kernel // 2)

    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        # outside the clip frames count as missing, as in the padding
        mouth = F.pad(_downscaled(mouth, self.shrink), (0, 0, 0, 0, 2, 2))
        valid = F.pad(valid, (2, 2))
        states = F.pad(self._images(mouth, valid), (self.reach, self.reach), mode="replicate")
        everywhere = torch.ones_like(states[:, :1], dtype=torch.bool)
        for block in self.blocks:
            states = block(states, everywhere)
        edge = 2 + self.reach
        return states[..., edge:-edge].mT

    def _images(self, mouth: Tensor, valid: Tensor) -> Tensor:
        """Features of each frame with its neighbours, and their validity: (B, dim, T)."""
        visible = valid.to(mouth.dtype)
        mouth = (mouth * visible[..., None, None]).to(_autocast_dtype(mouth))
        # stacking along the last axis gives the channels-last layout without a copy
        stacks = torch.stack(_neighbours(mouth), -1)  # (B, T, 88, 88, 3)
        x = rearrange(stacks, "b t h w c -> (b t) c h w")
        for conv in self.pictures:
            x = F.relu(conv(x), inplace=True)
        x = self.narrow(x).flatten(1).unflatten(0, mouth.shape[:2])
        validity = torch.stack(_neighbours(visible), -1)
        return self.enter(torch.cat([x, validity.to(x.dtype)], -1)).mT


def _downscaled(images: Tensor, times: int) -> Tensor:
    """Means of squares of `times` x `times` pixels; incomplete squares at the border are cut off.

    On CPUs `avg_pool2d` takes eight times as long.
    """
    if times == 1:
        return images
    height, width = (side // times * times for side in images.shape[-2:])
    rows = reduce(torch.add, (images[..., i:height:times, :] for i in range(times)))
    return reduce(torch.add, (rows[..., i:width:times] for i in range(times))) / times**2


def _neighbours(x: Tensor) -> list[Tensor]:
    """Three tensors (B, T, ...): the previous frame, the frame, the next frame; 0 outside."""
    padded = F.pad(x, (0, 0) * (x.dim() - 2) + (1, 1))
    return [padded[:, :-2], x, padded[:, 2:]]


def _autocast_dtype(x: Tensor) -> torch.dtype:
    """The dtype of convolutions under the current autocast; casting first makes copies smaller."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
