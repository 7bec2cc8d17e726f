"""The interfaces of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps a padded sequence to states; `dim` is the width D of its output."""

    dim: int

    @abstractmethod
    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """inputs (B, L) integers or (B, L, ...) features, lengths (B,) -> states (B, L, D).

        States beyond an item's length are zero, and `inputs` there have no effect.
        """


class LipEncoder(nn.Module, ABC):
    """Maps a video of a mouth to states at the rate of the video; `dim` is their width D.

    The task passes no arguments to registered lip encoders: all options come from the configuration.
    """

    dim: int

    @abstractmethod
    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        """mouth (B, T, 88, 88), normalised, 0 in missing frames; valid (B, T) bool -> (B, T, D).

        The content of frames that are not valid has no effect. The states of an item must not depend
        on the other items of the batch, and padding must act as missing frames do.
        """


class FaceEncoder(nn.Module, ABC):
    """Maps one image of a face to an identity embedding; `dim` is its width D."""

    dim: int

    @abstractmethod
    def forward(self, face: Tensor) -> Tensor:
        """face (B, 3, 224, 224) RGB in [0, 1] -> (B, D)."""
