"""Fast Griffin-Lim: phase reconstruction without training."""

from __future__ import annotations

import torch
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise
from voicediff.registry import register
from voicediff.vocoders.base import Vocoder
from voicediff.vocoders.frames import Framing
from voicediff.vocoders.inversion import MelInversion


@register("vocoder", "griffin_lim")
class GriffinLim(Vocoder):
    """Fast Griffin-Lim from the mel (Perraudin et al. 2013): no training, no F0; audible artefacts.

    Griffin & Lim (1984) with momentum. A mel does not determine the magnitudes of single frequencies,
    so they are not fixed in advance: each iteration corrects those of the current waveform towards
    the mel. Use it to listen to a mel: the pitch is that of the mel.

    Args:
        spec: mel description.
        iterations: of the alternating projections.
        momentum: alpha of Perraudin et al.; 0 is the original algorithm.
        chunk: frames synthesised at once. Longer inputs are processed in chunks in constant memory;
            each chunk continues the waveform of the previous one.
    """

    def __init__(
        self,
        spec: MelSpec = MelSpec(),
        iterations: int = 45,
        momentum: float = 0.9,
        chunk: int = 1024,
    ):
        super().__init__()
        self.spec, self.iterations, self.momentum, self.chunk = spec, iterations, momentum, chunk

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T) -> wav (B, T * hop); `f0` is unused, `noise` sets the initial phases."""
        hop, frames = self.spec.hop, mel.shape[-1]
        wav = self._noise(mel.new_empty(mel.shape[0], frames * hop), noise)
        context = 2 * (self.spec.n_fft // hop)  # frames of the previous chunk, kept fixed
        step = max(self.chunk - context, context)
        done = 0  # frames
        while done < frames:
            first, end = max(done - context, 0), min(done + step, frames)
            known = wav[:, first * hop : done * hop]
            start = wav[:, first * hop : end * hop]
            made = self._project(mel[..., first:end], start, known)
            wav[:, done * hop : end * hop] = made[:, (done - first) * hop :]
            done = end
        return wav

    def _project(self, mel: Tensor, wav: Tensor, known: Tensor) -> Tensor:
        """A waveform with the magnitudes of `mel`, from the initial `wav`; it starts with `known`."""
        framing, inversion = Framing(self.spec, mel), MelInversion(mel, self.spec)
        spectra = _with_magnitude(framing.spectra(wav), inversion.smooth())
        before = torch.zeros_like(spectra)
        for _ in range(self.iterations):
            wav = _beginning_with(known, framing.sound(spectra))
            consistent = framing.spectra(wav)
            leap = consistent + self.momentum * (consistent - before)
            spectra = _with_magnitude(leap, inversion.update(leap.abs().clamp(min=1e-7)))
            before = consistent
        return _beginning_with(known, framing.sound(spectra))


def _with_magnitude(spectra: Tensor, magnitude: Tensor) -> Tensor:
    return spectra * (magnitude / spectra.abs().clamp(min=1e-9))


def _beginning_with(known: Tensor, wav: Tensor) -> Tensor:
    return torch.cat((known, wav[:, known.shape[1] :]), 1) if known.shape[1] else wav
