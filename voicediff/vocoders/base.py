"""What a vocoder is to the rest of the house."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise, SeededNoise


class Vocoder(nn.Module, ABC):
    """Turns log-mel, and F0 where it needs it, into sound.

    A registered vocoder takes `spec`, the mel description it works on; what comes from elsewhere
    is checked with `require`.
    """

    spec: MelSpec
    needs_f0: bool = False
    chunk: int  # frames made at once, and on each side of them those that they depend on
    context: int

    @abstractmethod
    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T), f0 (B, T) in Hz (0: unvoiced) -> wav (B, T * hop).

        All randomness comes from `noise`; without one every call gives the same sound.
        """

    def _in_chunks(self, mel: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        """wav (B, T * hop) by `make` from mel (B, n_mels, T), `chunk` frames with `context` a side at once."""
        hop, frames, pieces = self.spec.hop, mel.shape[-1], []
        for start in range(0, frames, self.chunk):
            first, stop = max(start - self.context, 0), min(start + self.chunk, frames)
            made = make(mel[..., first : stop + self.context])
            pieces.append(made[:, (start - first) * hop : (stop - first) * hop])
        return torch.cat(pieces, -1)

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    def require(self, spec: MelSpec, whose: str) -> None:
        """DataError where `whose` mels (described by `spec`) are not what this vocoder reads."""
        self.spec.require(spec, "the vocoder", whose)

    def _noise(self, like: Tensor, noise: Noise | None) -> Tensor:
        """Standard normal samples like `like` (B, ..., N)."""
        return (noise or SeededNoise([0] * like.shape[0]))(like)
