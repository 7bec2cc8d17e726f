"""A lip encoder that a CPU can train: plain 2-D convolutions on stacks of neighbouring frames."""

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

    A frame, the one before and the one after it are the channels of the first layer, so that it
    sees motion without a 3-D convolution, which costs more than all else here. Whether each of
    the three was seen goes into the convolutions in time.

    Args:
        dim: width of the states.
        channels: of the strided convolutions; each halves the picture, first 88 x 88.
        shrink: pixels a side that are averaged to one before that.
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
            # no norms, which cost as much as all else: the start must keep the size
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        self.narrow = nn.Conv2d(channels[-1], 16, 1)
        side = -(-(88 // shrink) // 2 ** len(channels))
        self.enter = nn.Linear(16 * side * side + 3, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, kernel, dropout) for _ in range(layers))
        self.reach = layers * (kernel // 2)

    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        # before and after the clip are frames that were not seen, just as where it is padded
        mouth = F.pad(_shrunk(mouth, self.shrink), (0, 0, 0, 0, 2, 2))
        valid = F.pad(valid, (2, 2))
        states = F.pad(self._pictures(mouth, valid), (self.reach, self.reach), mode="replicate")
        everywhere = torch.ones_like(states[:, :1], dtype=torch.bool)
        for block in self.blocks:
            states = block(states, everywhere)
        edge = 2 + self.reach
        return states[..., edge:-edge].mT

    def _pictures(self, mouth: Tensor, valid: Tensor) -> Tensor:
        """What each frame and its neighbours show, and which of them were seen: (B, dim, T)."""
        seen = valid.to(mouth.dtype)
        mouth = (mouth * seen[..., None, None]).to(_computed_in(mouth))
        # stacked along the last axis, pictures lie in memory as convolutions want them
        stacks = torch.stack(_neighbours(mouth), -1)  # (B, T, 88, 88, 3)
        x = rearrange(stacks, "b t h w c -> (b t) c h w")
        for conv in self.pictures:
            x = F.relu(conv(x), inplace=True)
        x = self.narrow(x).flatten(1).unflatten(0, mouth.shape[:2])
        known = torch.stack(_neighbours(seen), -1)
        return self.enter(torch.cat([x, known.to(x.dtype)], -1)).mT


def _shrunk(pictures: Tensor, times: int) -> Tensor:
    """Means of squares of `times` pixels a side; what does not fill one is cut off.

    `avg_pool2d` takes CPUs eight times as long.
    """
    if times == 1:
        return pictures
    height, width = (side // times * times for side in pictures.shape[-2:])
    rows = reduce(torch.add, (pictures[..., i:height:times, :] for i in range(times)))
    return reduce(torch.add, (rows[..., i:width:times] for i in range(times))) / times**2


def _neighbours(x: Tensor) -> list[Tensor]:
    """(B, T, ...) three times: the frame before, the frame, the frame after; 0 outside."""
    padded = F.pad(x, (0, 0) * (x.dim() - 2) + (1, 1))
    return [padded[:, :-2], x, padded[:, 2:]]


def _computed_in(x: Tensor) -> torch.dtype:
    """What convolutions compute in here: cast before copies are made."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
