"""Harmonics of F0 plus noise, filtered to a mel-spectrogram."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise
from voicediff.errors import DataError
from voicediff.networks.precision import narrowed, widened
from voicediff.registry import register
from voicediff.vocoders.base import Vocoder
from voicediff.vocoders.frames import Framing
from voicediff.vocoders.inversion import MelInversion
from voicediff.vocoders.source import cycles_and_hertz, without_gaps


@register("vocoder", "harmonic")
class Harmonic(Vocoder):
    """Harmonics plus noise (after Serra & Smith 1990), filtered to the mel: no training, needs F0.

    The source is a sum of sinusoids at all multiples of F0, of continuous phase, and white noise,
    whose level rises with frequency and which is the only source where F0 is 0. A filter with one
    gain per bin and frame is corrected until the waveform has the given mel. Between harmonics its
    gain is at most that of the line from one to the next, so that a blurred mel does not fill the
    gaps with noise. The pitch is exactly the given F0, so pitch metrics then do not measure the mel.

    Args:
        spec: mel description.
        iterations: corrections of the filter.
        breath: level of the noise relative to the harmonics in dB, at 0 Hz and at `fmax`.
        chunk: frames synthesised at once; longer inputs are processed in constant memory.
    """

    needs_f0 = True
    REACH = 24  # frames of context on each side of a chunk

    def __init__(
        self,
        spec: MelSpec = MelSpec(),
        iterations: int = 6,
        breath: tuple[float, float] = (-18.0, 6.0),
        chunk: int = 1024,
    ):
        super().__init__()
        self.spec, self.iterations, self.breath, self.chunk = spec, iterations, breath, chunk

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T), f0 (B, T) in Hz -> wav (B, T * hop)."""
        if f0 is None:
            raise DataError("vocoder 'harmonic': needs F0; provide it, or use griffin_lim")
        hop, frames = self.spec.hop, mel.shape[-1]
        breath = self._noise(mel.new_empty(mel.shape[0], frames * hop), noise)
        wav = torch.empty_like(breath)
        curve = F.pad(without_gaps(f0.to(mel)), (1, 1), mode="replicate")  # (B, T + 2)
        phase = widened(mel.new_zeros(len(mel), 1))  # at `done`
        for done in range(0, frames, self.chunk):
            first, end = max(done - self.REACH, 0), min(done + self.chunk, frames)
            last = min(end + self.REACH, frames)
            phases, hertz = cycles_and_hertz(curve[:, first : last + 2], hop, self.sample_rate)
            before, after = (done - first) * hop, (end - first) * hop
            phases = phases + (phase - phases[:, before : before + 1])
            made = self._shape(
                mel[..., first:last],
                curve[:, first + 1 : last + 1],
                f0[:, first:last] > 0,
                self._harmonics(phases, hertz),
                breath[:, first * hop : last * hop],
            )
            wav[:, done * hop : end * hop] = made[:, before:after]
            phase = phases[:, after : after + 1] % 1
        return wav

    def _harmonics(self, phases: Tensor, hertz: Tensor) -> Tensor:
        """Sinusoids (B, N) at all multiples of F0 below half the rate, with the power of unit noise.

        Their initial phases are quadratic in their number, which keeps the crest factor low.
        """
        rate = self.spec.sample_rate
        cycles = narrowed(phases[:, :-1] % 1, hertz)
        source = torch.zeros_like(hertz)
        for number in range(1, int(rate / 2 / hertz.min()) + 1):
            headroom = ((rate / 2 - number * hertz) / hertz).clamp(
                0, 1
            )  # fade out below the Nyquist frequency
            angle = (number * cycles) % 1 + number * number / 128
            source += headroom * torch.cos(2 * torch.pi * angle)
        return source * (4 * hertz / rate).sqrt()

    def _shape(
        self, mel: Tensor, f0: Tensor, voiced: Tensor, harmonics: Tensor, noise: Tensor
    ) -> Tensor:
        """The source, filtered so that it has the mel (B, n_mels, T); f0 and voiced are (B, T)."""
        framing, inversion = Framing(self.spec, mel), MelInversion(mel, self.spec)
        voiced = voiced[..., None].to(mel)
        noisy = (1 - voiced) + voiced * self._breath(mel)
        source = framing.spectra(harmonics) * voiced + framing.spectra(noise) * noisy
        gain = inversion.smooth() / framing.window.square().sum().sqrt()
        ceiling = _HarmonicCeiling(f0, self.spec, gain.shape[-1])
        gain = torch.where(voiced > 0, ceiling(gain), gain)
        for _ in range(self.iterations):
            current = framing.spectra(framing.sound(source * gain)).abs()
            gain = gain * inversion.correction(current).clamp(0.1, 10)
            gain = torch.where(voiced > 0, ceiling(gain), gain)
        return framing.sound(source * gain)

    def _breath(self, like: Tensor) -> Tensor:
        """Amplitude of the noise relative to the harmonics, (bins,)."""
        hertz = torch.linspace(0, self.spec.sample_rate / 2, self.spec.n_fft // 2 + 1)
        low, high = self.breath
        level = low + (high - low) * (hertz / self.spec.fmax)
        return (10 ** (level.clamp(max=max(low, high)) / 20)).to(like)


class _HarmonicCeiling:
    """Limits gains (B, T, bins) to the line between neighbouring harmonics of f0 (B, T)."""

    MARGIN = 1.5  # a harmonic lies between two bins, of which either can have its gain

    def __init__(self, f0: Tensor, spec: MelSpec, bins: int):
        place = torch.arange(bins, device=f0.device, dtype=f0.dtype)
        step = f0[..., None] * (spec.n_fft / spec.sample_rate)  # bins from harmonic to harmonic
        number = (place / step).floor()
        self.part = place / step - number
        self.low = (number.clamp(min=1) * step).round().long().clamp(max=bins - 1)
        self.high = ((number + 1) * step).round().long().clamp(max=bins - 1)

    def __call__(self, gain: Tensor) -> Tensor:
        line = torch.lerp(gain.gather(-1, self.low), gain.gather(-1, self.high), self.part)
        return torch.minimum(gain, self.MARGIN * line)
