"""The contract of a decoder: the score network, whatever its architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from voicediff.networks.conditions import Conditions


@dataclass
class Prepared:
    """What a decoder computed from mu, conditions and mask, once for all steps of an utterance."""


class Decoder(nn.Module, ABC):
    """The network whose answer an objective reads as noise, score, data or velocity.

    Registered decoders take, beside their own options, what the parent hands down:
    channels_in: C of x (1 mel, 2 real and imaginary part); bins: F;
    conditions: the conditions present, `{name: (kind, channels or dim)}`.
    """

    @abstractmethod
    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> Prepared:
        """Compute what does not change over the steps; give the result in place of `cond`.

        mu (B, C, F, T), mask bool (B, T).
        """

    @abstractmethod
    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: Prepared) -> Tensor:
        """The network proper: x_in (B, C, F, T), time_in (B,) -> like x_in, zero where padded."""

    def forward(
        self,
        x_in: Tensor,
        time_in: Tensor,
        mu: Tensor,
        cond: Conditions | Prepared,
        mask: Tensor,
    ) -> Tensor:
        """x_in, mu (B, C, F, T), time_in (B,) in [0, 1], mask bool (B, T) -> like x_in.

        Padded frames are answered with zeros and never change the valid ones.
        """
        prepared = cond if isinstance(cond, Prepared) else self.prepare(mu, cond, mask)
        return self.evaluate(x_in, time_in, prepared)
