"""The interface of predictors: the predictive stage before, or in place of, diffusion."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from voicediff.networks.conditions import Conditions


class Predictor(nn.Module, ABC):
    """A network that estimates the clean spectrum from the mixture, as in StoRM (Lemercier et al. 2023).

    Beside their own options, registered predictors take arguments that the task passes:
    channels_in: C of y (2: real and imaginary part); bins: F;
    conditions: the conditions present, `{name: (kind, channels or dim)}`.
    """

    @abstractmethod
    def forward(self, y: Tensor, cond: Conditions, mask: Tensor) -> Tensor:
        """y (B, C, F, T), mask bool (B, T) -> like y, zero at padded frames."""
