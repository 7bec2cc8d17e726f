"""The interface of vocoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise, SeededNoise


class Vocoder(nn.Module, ABC):
    """Synthesises a waveform from a log-mel, and F0 if it requires it.

    A registered vocoder takes `spec`, the mel description of its inputs. Call `require` to check
    mels of other origin against it.
    """

    spec: MelSpec
    needs_f0: bool = False
    chunk: int  # frames synthesised at once, and frames of context on each side
    context: int

    @abstractmethod
    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T), f0 (B, T) in Hz (0: unvoiced) -> wav (B, T * hop).

        All randomness comes from `noise`; without it the result is deterministic.

        >>> from voicediff.registry import build
        >>> vocoder = build("vocoder", {"name": "griffin_lim", "iterations": 4})
        >>> vocoder(torch.zeros(1, 80, 10)).shape
        torch.Size([1, 2560])
        """

    def _in_chunks(self, mel: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        """wav (B, T * hop) from mel (B, n_mels, T): `make` on chunks with `context` frames each side."""
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
        """DataError where the mels of `whose` (described by `spec`) differ from this vocoder's."""
        self.spec.require(spec, "the vocoder", whose)

    def _noise(self, like: Tensor, noise: Noise | None) -> Tensor:
        """Standard normal samples like `like` (B, ..., N)."""
        return (noise or SeededNoise([0] * like.shape[0]))(like)
