"""The contract of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps a padded sequence to states; `dim` is the width D of its output."""

    dim: int

    @abstractmethod
    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """inputs (B, L) integers or (B, L, ...) features, lengths (B,) -> states (B, L, D).

        States past an item's length are zero, and what stands there in `inputs` has no effect.
        """


class LipEncoder(nn.Module, ABC):
    """Maps a video of a mouth to states at the rate of the video; `dim` is their width D.

    Registered lip encoders are given nothing by the task: all their options are the user's.
    """

    dim: int

    @abstractmethod
    def forward(self, mouth: Tensor, valid: Tensor) -> Tensor:
        """mouth (B, T, 88, 88), normalised, 0 where not seen; valid (B, T) bool -> (B, T, D).

        Frames that are not valid have no effect other than being missing. What an item's states
        are must not depend on its neighbours in the batch, nor on missing frames behind its end
        further than a missing frame inside it would.
        """


class FaceEncoder(nn.Module, ABC):
    """Maps one picture of a face to a vector that says whose it is; `dim` is its width D."""

    dim: int

    @abstractmethod
    def forward(self, face: Tensor) -> Tensor:
        """face (B, 3, 224, 224) RGB in [0, 1] -> (B, D)."""
