"""The interface of decoders, the denoising (score) networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from voicediff.networks.conditions import Conditions


@dataclass
class Prepared:
    """Results of `Decoder.prepare`: computed from mu, conditions and mask, once for all steps."""


class Decoder(nn.Module, ABC):
    """A network whose output an objective interprets as noise, score, data, velocity, v or EDM's F.

    Beside their own options, registered decoders take arguments that the task passes:
    channels_in: C of x (1 mel, 2 real and imaginary part); bins: F;
    conditions: the conditions present, `{name: (kind, channels or dim)}`.
    """

    @abstractmethod
    def prepare(self, mu: Tensor, cond: Conditions, mask: Tensor) -> Prepared:
        """Compute everything that is the same in all steps; pass the result in place of `cond`.

        mu (B, C, F, T), mask bool (B, T).
        """

    @abstractmethod
    def evaluate(self, x_in: Tensor, time_in: Tensor, prepared: Prepared) -> Tensor:
        """One evaluation: x_in (B, C, F, T), time_in (B,) -> like x_in, zero where padded."""

    def forward(
        self,
        x_in: Tensor,
        time_in: Tensor,
        mu: Tensor,
        cond: Conditions | Prepared,
        mask: Tensor,
    ) -> Tensor:
        """x_in, mu (B, C, F, T), time_in (B,) in [0, 1], mask bool (B, T) -> like x_in.

        Padded frames of the output are zero; those of the input have no effect.

        >>> from voicediff.registry import build
        >>> options = {"name": "wavenet", "layers": 2, "channels": 16}
        >>> decoder = build("decoder", options, channels_in=1, bins=8, conditions={"lips": ("frames", 3)})
        >>> x, t, mask = torch.zeros(2, 1, 8, 20), torch.rand(2), torch.ones(2, 20, dtype=torch.bool)
        >>> decoder(x, t, x, Conditions(frames={"lips": torch.zeros(2, 20, 3)}), mask).shape
        torch.Size([2, 1, 8, 20])
        """
        prepared = cond if isinstance(cond, Prepared) else self.prepare(mu, cond, mask)
        return self.evaluate(x_in, time_in, prepared)
