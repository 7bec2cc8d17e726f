"""Neural vocoders on frames with an inverse STFT, with and without an F0 source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicediff.audio import MelSpec
from voicediff.diffusion.noise import Noise
from voicediff.errors import DataError
from voicediff.networks.precision import widened
from voicediff.registry import register
from voicediff.vocoders.base import Vocoder
from voicediff.vocoders.convnext import ConvNeXt
from voicediff.vocoders.frames import Framing
from voicediff.vocoders.inversion import MelInversion
from voicediff.vocoders.source import cycles_and_hertz, pulses, without_gaps

REACH = 6.0  # maximum of |ln gain| relative to the mel (52 dB)
BREATH = (
    -2.5
)  # initial ln gain (-22 dB) of noise in voiced frames at 0 Hz, and of pulses in unvoiced ones
SCALE = 0.25  # of log-mels at the network's input


class _Spectral(Vocoder):
    """Shared by both: chunks with context, and corrections towards the mel."""

    def __init__(
        self, spec: MelSpec, inputs: int, channels: int, layers: int, heads: int,
        corrections: int, chunk: int,
    ):  # fmt: skip
        super().__init__()
        self.spec, self.corrections, self.chunk = spec, corrections, chunk
        self.bins = spec.n_fft // 2 + 1
        self.body = ConvNeXt(spec.n_mels + inputs, channels, layers)
        self.leave = nn.Conv1d(channels, heads * self.bins, 1)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)

    @property
    def context(self) -> int:
        """Receptive field in frames on each side."""
        overlap = -(-self.spec.n_fft // self.spec.hop)
        return self.body.context + overlap * (2 + self.corrections)

    def _heads(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs (B, C, T) to tensors (B, T, bins), single precision."""
        h = self.leave(self.body(torch.cat(inputs, 1))).float()
        return tuple(head.mT for head in h.chunk(h.shape[1] // self.bins, 1))

    def _envelope(self, inversion: MelInversion) -> Tensor:
        """ln magnitudes (B, T, bins) interpolated from the mel; constant above its range."""
        envelope = inversion.envelope()
        last = int(self.spec.fmax / self.spec.sample_rate * self.spec.n_fft) - 2
        level = F.pad(envelope[..., :last], (0, self.bins - last), mode="replicate")
        return level.clamp(min=1e-7).log()

    def _sound(self, spectra: Tensor, framing: Framing, inversion: MelInversion) -> Tensor:
        """Spectra (B, T, bins) -> waveform (B, T * hop); each correction brings it closer to the mel."""
        wav = framing.sound(spectra)
        for _ in range(0 if self.training else self.corrections):
            current = framing.spectra(wav)
            gain = inversion.correction(current.abs().clamp(min=1e-7))
            gain = torch.where(inversion.covered, gain.clamp(0.1, 10), 1.0)
            wav = framing.sound(current * gain)
        return wav


@register("vocoder", "vocos")
class Vocos(_Spectral):
    """Vocos: ConvNeXt and inverse STFT (Siuzdak 2023): fast, no F0; needs adversarial training.

    Magnitudes are predicted relative to the mel, so that level and spectral envelope of unseen
    singers are correct from the start. Recommended where F0 is unknown. With spectral losses alone
    it does not learn phases: train it on a GPU with discriminators.

    Args:
        spec: mel description; frames are those of the mel.
        channels, layers: of the ConvNeXt body.
        corrections: number of corrections of the magnitudes towards the mel at inference, with the
            phases kept; 0 for none.
        chunk: frames synthesised at once; the result does not depend on it.
    """

    def __init__(
        self,
        spec: MelSpec = MelSpec(),
        channels: int = 384,
        layers: int = 8,
        corrections: int = 0,
        chunk: int = 512,
    ):
        super().__init__(spec, 0, channels, layers, 3, corrections, chunk)

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T) -> wav (B, T * hop); neither `f0` nor `noise` is used."""
        return self._in_chunks(mel, self._make)

    def _make(self, mel: Tensor) -> Tensor:
        framing, inversion = Framing(self.spec, mel), MelInversion(mel, self.spec)
        gain, real, imaginary = self._heads(mel * SCALE + 1)
        magnitude = (self._envelope(inversion) + _bounded(gain)).exp()
        phase = torch.atan2(imaginary, real)
        return self._sound(torch.polar(magnitude, phase), framing, inversion)


@register("vocoder", "vocos_source")
class SourceVocos(_Spectral):
    """Source-filter Vocos: istft(H1 STFT(pulses) + H2 STFT(noise)), filters from ConvNeXt; for singing.

    The pitch is exactly the given F0, so long notes are stable, and minutes of training with
    spectral losses are enough. From mel, F0 and voicing the network predicts gain and phase of the
    pulses and gain of the noise, for each bin and frame and relative to the mel, so that level and
    spectral envelope of unseen singers are correct from the start. Pulses continue through unvoiced
    frames, where the network attenuates them. Recommended where F0 is known.

    Args:
        spec: mel description; frames are those of the mel.
        channels, layers: of the ConvNeXt body.
        corrections: number of corrections of the magnitudes towards the mel at inference, with the
            phases kept; 0 for none.
        chunk: frames synthesised at once; the result does not depend on it.
    """

    needs_f0 = True

    def __init__(
        self,
        spec: MelSpec = MelSpec(),
        channels: int = 192,
        layers: int = 6,
        corrections: int = 0,
        chunk: int = 512,
    ):
        super().__init__(spec, 2, channels, layers, 3, corrections, chunk)

    def forward(self, mel: Tensor, f0: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """mel (B, n_mels, T), f0 (B, T) in Hz -> wav (B, T * hop)."""
        if f0 is None:
            raise DataError("vocoder 'vocos_source': needs F0; provide it, or use griffin_lim")
        hop, frames, context = self.spec.hop, mel.shape[-1], self.context
        f0 = f0.to(mel)
        breath = self._noise(mel.new_empty(mel.shape[0], frames * hop), noise)
        curve = F.pad(without_gaps(f0), (1, 1), mode="replicate")  # (B, T + 2)
        phase = widened(mel.new_zeros(len(mel), 1))  # at `start`
        pieces = []
        for start in range(0, frames, self.chunk):
            first, stop = max(start - context, 0), min(start + self.chunk, frames)
            last = min(stop + context, frames)
            cycles, hertz = cycles_and_hertz(curve[:, first : last + 2], hop, self.sample_rate)
            before, after = (start - first) * hop, (stop - first) * hop
            cycles = cycles + (phase - cycles[:, before : before + 1])
            made = self._make(
                mel[..., first:last],
                f0[:, first:last],
                curve[:, first + 1 : last + 1],
                pulses(cycles[:, :-1], hertz, self.sample_rate),
                breath[:, first * hop : last * hop],
            )
            pieces.append(made[:, before:after])
            phase = cycles[:, after : after + 1] % 1
        return torch.cat(pieces, -1)

    def _make(
        self, mel: Tensor, f0: Tensor, curve: Tensor, source: Tensor, noise: Tensor
    ) -> Tensor:
        """One chunk: mel (B, n_mels, T), F0 with and without gaps (B, T), sources (B, T * hop)."""
        framing, inversion = Framing(self.spec, mel), MelInversion(mel, self.spec)
        pitch = torch.stack(((f0 > 0).to(mel), torch.log2(curve / 220)), 1)
        loud, turn, breathy = self._heads(mel * SCALE + 1, pitch)
        level = self._envelope(inversion) - framing.window.square().sum().sqrt().log()
        quiet, calm = self._start(f0)
        pulse_gain = torch.polar((level + quiet + _bounded(loud)).exp(), turn)
        noise_gain = (level + calm + _bounded(breathy)).exp()
        spectra = framing.spectra(source) * pulse_gain + framing.spectra(noise) * noise_gain
        return self._sound(spectra, framing, inversion)

    def _start(self, f0: Tensor) -> tuple[Tensor, Tensor]:
        """Initial ln gains (B, T, bins) of pulses and noise; the noise rises with frequency."""
        unvoiced = (f0 <= 0).to(f0)[..., None]
        hertz = torch.linspace(0, self.sample_rate / 2, self.bins, device=f0.device, dtype=f0.dtype)
        rising = BREATH * (1 - hertz / self.spec.fmax).clamp(min=0)
        return BREATH * unvoiced, rising * (1 - unvoiced)


def _bounded(x: Tensor) -> Tensor:
    return REACH * torch.tanh(x / REACH)
