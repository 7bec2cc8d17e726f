"""A batch of mixtures as the networks of separation receive it: one item per speaker."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor

from voicediff.audio import STFT
from voicediff.networks.layers import length_mask
from voicediff.tasks.avss.spectra import spectra_of, spectrum_frames
from voicediff.tasks.avss.synchrony import shifted
from voicediff.video.constants import HOP
from voicediff.video.crops import INPUT_SIZE, MEAN, STD

_QUIET = 1e-4  # lowest RMS level that a mixture is divided by
_FREEZE = 9  # number of identical frames in a row from which on a video counts as frozen


@dataclass
class Scene:
    """B mixtures of S speakers as B S items, with mixtures at an RMS level of 1.

    Attributes:
        y: (B S, 2, F, T) compressed spectrum of the mixture.
        mixture: (B S, N) its waveform.
        mask: (B S, T) bool, valid frames of the spectrum.
        samples: (B S,) valid samples.
        mouth: (B S, T_video, 88, 88) normalised crops, 0 where not valid.
        valid: (B S, T_video) bool, frames in which the mouth was detected.
        face: (B S, 3, 224, 224) in [0, 1], or None.
        level: (B,) RMS level of the input.
        speakers: S.
        others_dropped: (B S,) bool, speakers without the condition `others`; None: no speaker.
    """

    y: Tensor
    mixture: Tensor
    mask: Tensor
    samples: Tensor
    mouth: Tensor
    valid: Tensor
    face: Tensor | None
    level: Tensor
    speakers: int
    others_dropped: Tensor | None = None

    @property
    def frames(self) -> Tensor:
        """Video frames of each item (B S,)."""
        return self.samples // HOP

    def mean_of_others(self, states: Tensor) -> Tensor:
        """For each speaker the mean of the other speakers' states (B S, T, D); 0 without others."""
        each = rearrange(states, "(b s) t d -> b s t d", s=self.speakers)
        mean = (each.sum(1, keepdim=True) - each) / max(1, self.speakers - 1)
        mean = rearrange(mean, "b s t d -> (b s) t d")
        if self.others_dropped is None:
            return mean
        return mean * ~self.others_dropped[:, None, None]

    def mixture_consistent(self, tracks: Tensor) -> Tensor:
        """Split the residual equally so that tracks (B S, N) sum to the mixture (Wisdom et al. 2019).

        Mixtures of one speaker stay unchanged, and mixtures with a speaker in `others_dropped`.
        """
        if self.speakers < 2:
            return tracks
        each = rearrange(tracks, "(b s) n -> b s n", s=self.speakers)
        mixture = self.mixture[:: self.speakers, None, : tracks.shape[-1]]
        share = (mixture - each.sum(1, keepdim=True)) / self.speakers
        if self.others_dropped is not None:
            dropped = rearrange(self.others_dropped, "(b s) -> b s", s=self.speakers).any(1)
            share = share * ~dropped[:, None, None]
        return rearrange(each + share, "b s n -> (b s) n")

    def shift_videos(self, lags: Tensor) -> None:
        """Move the frames of each video to `lags` (B, S) frames earlier.

        Frames that are not available at either end become invalid.
        """
        if bool(lags.any()):
            self.mouth = shifted(self.mouth, lags.flatten().tolist())
            self.valid = shifted(self.valid, lags.flatten().tolist())


def make_scene(
    stft: STFT,
    mixture: Tensor,
    mouth: Tensor,
    valid: Tensor,
    face: Tensor | None,
    frames: Tensor,
) -> Scene:
    """The scene of a batch; frames of a frozen video become invalid.

    Args:
        mixture: (B, N). mouth: (B, S, T, 96, 96) uint8. valid: (B, S, T) bool.
        face: (B, S, 224, 224, 3) uint8, or None. frames: (B,) valid frames.
    """
    speakers, samples = mouth.shape[1], frames * HOP
    keep = length_mask(samples, mixture.shape[-1])
    level = ((mixture.square() * keep).sum(-1) / samples).sqrt().clamp(min=_QUIET)
    mixture = mixture * keep / level[:, None]
    y = spectra_of(stft, mixture, samples)
    valid = valid & length_mask(frames, valid.shape[-1])[:, None] & ~frozen_frames(mouth)

    def each(x: Tensor) -> Tensor:
        return repeat(x, "b ... -> (b s) ...", s=speakers)

    return Scene(
        y=each(y),
        mixture=each(mixture),
        mask=each(length_mask(spectrum_frames(stft, frames), y.shape[-1])),
        samples=each(samples),
        mouth=_normalised(mouth.flatten(0, 1), valid.flatten(0, 1)),
        valid=valid.flatten(0, 1),
        face=None if face is None else rearrange(face, "b s h w c -> (b s) c h w").float() / 255,
        level=level,
        speakers=speakers,
    )


def frozen_frames(mouth: Tensor) -> Tensor:
    """Frames (..., T, H, W) uint8 in a run of at least `_FREEZE` identical ones: (..., T) bool.

    A camera never records the same pixels twice, so such a run is a frozen video and not a closed mouth.
    """
    batch, frames = mouth.shape[:-3], mouth.shape[-3]
    frozen = torch.zeros(*batch, frames, dtype=torch.bool, device=mouth.device)
    if frames < _FREEZE:
        return frozen
    pixels = mouth.flatten(-2)
    if pixels.shape[-1] % 8 == 0:  # compares eight pixels at once
        pixels = pixels.contiguous().view(torch.int64)
    same = (pixels[..., 1:, :] == pixels[..., :-1, :]).all(-1)
    starts = same.unfold(-1, _FREEZE - 1, 1).all(-1)  # frames at which a run starts
    for step in range(_FREEZE):
        frozen[..., step : step + starts.shape[-1]] |= starts
    return frozen


def _normalised(mouth: Tensor, valid: Tensor) -> Tensor:
    """Crops (B, T, 96, 96) uint8 -> their centre (B, T, 88, 88), normalised, 0 where not valid."""
    edge = (mouth.shape[-1] - INPUT_SIZE) // 2
    middle = mouth[..., edge : edge + INPUT_SIZE, edge : edge + INPUT_SIZE].float()
    return middle.sub_(255 * MEAN).mul_(valid[..., None, None] / (255 * STD))
