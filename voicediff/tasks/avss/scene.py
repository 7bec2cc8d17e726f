"""A batch of mixtures as the networks of separation see it, and the way back to sound."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from voicediff.audio import STFT
from voicediff.networks.layers import length_mask
from voicediff.tasks.avss.synchrony import moved
from voicediff.video.constants import HOP
from voicediff.video.crops import INPUT_SIZE, MEAN, STD

_QUIET = 1e-4  # standard deviation below which a mixture is not made louder
_STILL = 9  # frames in a row, exactly alike, from which on a video is taken to stand still


@dataclass
class Scene:
    """A batch as the networks see it: one item per voice, mixtures repeated, level 1.

    y: (B S, 2, F, T) compressed spectrum of the mixture; mask: (B S, T) bool; samples: (B S,)
    sound: (B S, N) the mixture itself
    mouth: (B S, T_video, 88, 88); valid: (B S, T_video); face: (B S, 3, 224, 224) in [0, 1]
    level: (B,) by which the mixture was divided; voices: S.
    alone: (B S,) bool, whose `others` are hidden; None: nobody's.
    """

    y: Tensor
    sound: Tensor
    mask: Tensor
    samples: Tensor
    mouth: Tensor
    valid: Tensor
    face: Tensor | None
    level: Tensor
    voices: int
    alone: Tensor | None = None

    def others(self, states: Tensor) -> Tensor:
        """Of each voice the mean of the other voices' states (B S, T, D); 0 where there are none."""
        each = rearrange(states, "(b s) t d -> b s t d", s=self.voices)
        mean = (each.sum(1, keepdim=True) - each) / max(1, self.voices - 1)
        mean = rearrange(mean, "b s t d -> (b s) t d")
        return mean if self.alone is None else mean * ~self.alone[:, None, None]

    def balanced(self, sounds: Tensor) -> Tensor:
        """Sounds (B S, N) that sum to the mixture: each takes as much of what is missing (Wisdom et al. 2019).

        A voice alone stays as it is, and so do all of a mixture in which somebody is not told of the others.
        """
        if self.voices < 2:
            return sounds
        each = rearrange(sounds, "(b s) n -> b s n", s=self.voices)
        mixture = self.sound[:: self.voices, None, : sounds.shape[-1]]
        share = (mixture - each.sum(1, keepdim=True)) / self.voices
        if self.alone is not None:
            alone = rearrange(self.alone, "(b s) -> b s", s=self.voices).any(1)
            share = share * ~alone[:, None, None]
        return rearrange(each + share, "b s n -> (b s) n")

    def move(self, lags: Tensor) -> None:
        """Show each picture when it belongs there, `lags` (B, S) frames before it comes.

        Both ends of a moved video are not seen.
        """
        if bool(lags.any()):
            self.mouth = moved(self.mouth, lags.flatten().tolist())
            self.valid = moved(self.valid, lags.flatten().tolist())


def scene_of(
    stft: STFT,
    mixture: Tensor,
    mouth: Tensor,
    valid: Tensor,
    face: Tensor | None,
    frames: Tensor,
) -> Scene:
    """mixture (B, N), mouth (B, S, T, 96, 96), valid (B, S, T), face (B, S, 224, 224, 3), frames (B,).

    Pictures that stand still count as not seen: cameras never show the same twice, so a lip that rests
    on exactly the same pixels is a video that has stopped, not a voice that is silent.
    """
    voices, samples = mouth.shape[1], frames * HOP
    keep = length_mask(samples, mixture.shape[-1])
    power = (mixture.square() * keep).sum(-1) / samples
    level = power.sqrt().clamp(min=_QUIET)
    sound = mixture * keep / level[:, None]
    y = spectra_of(stft, sound, samples)
    valid = valid & length_mask(frames, valid.shape[-1])[:, None] & ~standing_still(mouth)

    def each(x: Tensor) -> Tensor:
        return repeat(x, "b ... -> (b s) ...", s=voices)

    return Scene(
        y=each(y),
        sound=each(sound),
        mask=each(length_mask(spectrum_frames(stft, frames), y.shape[-1])),
        samples=each(samples),
        mouth=_seen(mouth.flatten(0, 1), valid.flatten(0, 1)),
        valid=valid.flatten(0, 1),
        face=None if face is None else rearrange(face, "b s h w c -> (b s) c h w").float() / 255,
        level=level,
        voices=voices,
    )


def standing_still(mouth: Tensor) -> Tensor:
    """Pictures (..., T, H, W) uint8 that belong to `_STILL` or more in a row without any change: (..., T) bool."""
    batch, frames = mouth.shape[:-3], mouth.shape[-3]
    still = torch.zeros(*batch, frames, dtype=torch.bool, device=mouth.device)
    if frames < _STILL:
        return still
    pixels = mouth.flatten(-2)
    if pixels.shape[-1] % 8 == 0:  # eight at once
        pixels = pixels.contiguous().view(torch.int64)
    alike = (pixels[..., 1:, :] == pixels[..., :-1, :]).all(-1)
    stops = alike.unfold(-1, _STILL - 1, 1).all(-1)  # the run that begins here
    for step in range(_STILL):
        still[..., step : step + stops.shape[-1]] |= stops
    return still


def spectrum_frames(stft: STFT, frames: Tensor) -> Tensor:
    """Frames of the spectrum for so many frames of video."""
    return 1 + frames * HOP // stft.hop


def spectra_of(stft: STFT, wav: Tensor, samples: Tensor) -> Tensor:
    """Sounds (B, N) with `samples` (B,) valid ones -> compressed spectra, 0 past each one's end."""
    if bool((samples == wav.shape[-1]).all()):
        return stft(wav.float())
    count = stft.frames(wav.shape[-1])
    parts = [stft(w[None, :n].float()) for w, n in zip(wav, samples.tolist(), strict=True)]
    return torch.cat([nn.functional.pad(s, (0, count - s.shape[-1])) for s in parts])


def sounds_of(stft: STFT, spectrum: Tensor, samples: Tensor) -> Tensor:
    """The inverse, (B, N)."""
    counts, longest = samples.tolist(), int(samples.max())
    if min(counts) == longest:
        return stft.inverse(spectrum.float(), longest)
    parts = [
        stft.inverse(s[None, ..., : stft.frames(n)].float(), n)
        for s, n in zip(spectrum, counts, strict=True)
    ]
    return torch.cat([nn.functional.pad(w, (0, longest - w.shape[-1])) for w in parts])


def in_doubt(voices: Tensor, mixture: Tensor, sure: float) -> Tensor:
    """Voices (B, S, N) with as much of the mixture (B, N) as there is doubt of whose they are.

    A voice that shares r of its energy, or of the other's where that is greater, with the one most like
    it keeps (1 - r) / `sure` of itself, at most all. The rest is filled with what the mixture holds of
    both, all but the other voices: tracks that two faces could have alike do harm as often as good.
    A faint copy of a loud voice, as of who is silent meanwhile, puts neither in doubt. 0 for `sure`
    keeps all.
    """
    if not sure or voices.shape[1] < 2:
        return voices
    shared = voices @ voices.mT
    energy = shared.diagonal(dim1=1, dim2=2)
    louder = torch.maximum(energy[:, :, None], energy[:, None]).clamp(min=1e-12)
    alike = (shared - energy.diag_embed()).clamp(min=0) / louder
    most, nearest = alike.max(-1, keepdim=True)
    kept = ((1 - most) / sure).clamp(0, 1)
    both = voices + voices.gather(1, nearest.expand_as(voices))
    return kept * voices + (1 - kept) * (mixture[:, None] - voices.sum(1, keepdim=True) + both)


def envelopes_of(stft: STFT, wav: Tensor, bands: int) -> Tensor:
    """Log-power of sounds (B, N) in bands below 4 kHz, log10 P = 2 e - 1: (B, T, bands)."""
    window = torch.hann_window(stft.n_fft, device=wav.device)
    spectrum = torch.stft(
        wav, stft.n_fft, stft.hop, window=window, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    edges = torch.linspace(0, power.shape[1] / 2, bands + 1).long().tolist()
    parts = [power[:, a:b].mean(1) for a, b in pairwise(edges)]
    levels = torch.log10(torch.stack(parts, -1) + 1e-4)
    return (levels + 1) / 2


def _seen(mouth: Tensor, valid: Tensor) -> Tensor:
    """Mouths (B, T, 96, 96) uint8 -> the middle (B, T, 88, 88), normalised, 0 where not valid."""
    edge = (mouth.shape[-1] - INPUT_SIZE) // 2
    middle = mouth[..., edge : edge + INPUT_SIZE, edge : edge + INPUT_SIZE].float()
    return middle.sub_(255 * MEAN).mul_(valid[..., None, None] / (255 * STD))
