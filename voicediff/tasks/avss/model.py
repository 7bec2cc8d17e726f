"""Audio-visual speech separation: one track per face, by a predictor, a diffusion model, or both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn

from voicediff.audio import STFT
from voicediff.data.separation.augmentation import VideoAugmentation
from voicediff.data.separation.dataset import (
    DrawnMixtures,
    ListedMixtures,
    MixtureOptions,
    collate_mixtures,
    listed,
)
from voicediff.diffusion.distillation import DISTILLING, DistillationOptions
from voicediff.diffusion.noise import Noise, SeededNoise
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import train_unfrozen
from voicediff.networks.losses import spectral_error
from voicediff.networks.precision import bfloat16
from voicediff.registry import Spec, read_options, register
from voicediff.tasks.avss.conditions import all_conditions, selected, spectrum_states
from voicediff.tasks.avss.inference import (
    EvaluationCounter,
    Separated,
    blend_ambiguous,
    guidance_terms,
    speaker_seeds,
)
from voicediff.tasks.avss.losses import (
    LossWeights,
    add_terms,
    diffusion_losses,
    envelope_losses,
    estimate_terms,
    joint_losses,
    unknown_speakers,
    waveform_terms,
)
from voicediff.tasks.avss.parts import (
    Condition,
    available_targets,
    build_distillation,
    build_encoders,
    build_generator,
    build_predictor,
    condition_sizes,
    has_generator,
)
from voicediff.tasks.avss.preview import preview
from voicediff.tasks.avss.scene import Scene, make_scene
from voicediff.tasks.avss.spectra import envelopes_of, spectra_of, spectrum_frames, waveforms_of
from voicediff.tasks.avss.synchrony import Synchrony, estimate_lags
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.video.constants import FPS, SAMPLE_RATE

INPUTS = ("mixture", "mouth", "valid", "face", "frames")  # of a batch, in the order of `separate`


@register("task", "avss")
class SpeechSeparation(Task):
    """One track per face: a predictor conditioned on the lips, and diffusion around its estimate.

    With both parts the mean of the process is the predictor's estimate D(y) (predictor, then
    generator: Approach 2, as StoRM and AVDiffuSS). Without a predictor the mean is the mixture
    (generator only: Approach 1).

    Args:
        encoders: `lips`, `identity`, both or, for enhancement without a video, none.
        predictor: estimates the speaker's spectrum from that of the mixture, or null.
        decoder, sde, objective: the diffusion part, or none of them.
        stft: the transform of data, model and synthesis.
        predictor_conditions: in addition to the mixture. `lips` are frame-wise states, `identity` is a
            vector; `lips_tokens` and `identity_tokens` are used by cross-attention, as one visual
            sequence. `others` is the mean of the other speakers' lip states, 0 without others:
            it tells when somebody else speaks.
        decoder_conditions: in addition to x and the mean of the process.
        losses: weights of the losses.
        augmentation: augmentation of the videos in training.
        diffusion: options of `Diffusion`; its `drop` drops conditions, for guidance.
        envelope_bands: number of bands of the envelope that is predicted from the lips.
        bf16: run predictor and encoders in bfloat16 at inference too, where the device supports it.
        noise_scale: standard deviation of the prior's noise in `separate`.
        synchrony: search for video offsets in `separate`.
        ambiguity_threshold: in `separate`, tracks of which a share of energy above 1 - threshold is
            common are blended with the mixture (`blend_ambiguous`); 0 disables this.
        mixture_consistency: split the residual equally among the speakers, so that the tracks sum to the mixture,
            in training and in separation (Wisdom et al. 2019). For mixtures without noise.
        distillation: distil the generator, a copy of the model given by `--init-from`, to few
            steps, with the targets `consistency` and `reflow`; null for all other trainings.
        assets: not used.
    """

    best, set_by_begin = "minus_si_sdri", ("distillation.",)
    sample_rate, fps = SAMPLE_RATE, FPS
    targets: ClassVar = {
        "warmup": ("lips.", "envelope."),
        "predictor": ("lips.", "identity.", "envelope.", "predictor."),
        "generator": ("diffusion.",),
        "joint": ("",),
        **dict.fromkeys(DISTILLING, ("diffusion.",)),
    }

    def __init__(
        self,
        encoders: dict[str, Spec | None] = {},  # noqa: B006
        predictor: Spec | None = None,
        decoder: Spec | None = None,
        sde: Spec | None = None,
        objective: Spec | None = None,
        stft: STFT = STFT(),
        predictor_conditions: list[Condition] = ["lips"],  # noqa: B006
        decoder_conditions: list[Condition] = ["mixture", "lips"],  # noqa: B006
        losses: LossWeights = LossWeights(),
        augmentation: VideoAugmentation = VideoAugmentation(),
        diffusion: dict[str, Any] = {},  # noqa: B006
        envelope_bands: int = 4,
        bf16: bool = False,
        noise_scale: float = 1.0,
        synchrony: Synchrony = Synchrony(),
        ambiguity_threshold: float = 0.0,
        mixture_consistency: bool = False,
        distillation: DistillationOptions | None = None,
        assets: Path | None = None,
    ):
        super().__init__()
        if not 0 <= ambiguity_threshold <= 1:
            raise ConfigError(
                f"task.ambiguity_threshold: expected a share from 0 to 1, found {ambiguity_threshold}"
            )
        self.stft, self.losses, self.augmentation = stft, losses, augmentation
        self.bf16, self.noise_scale, self.synchrony = bf16, noise_scale, synchrony
        self.ambiguity_threshold = ambiguity_threshold
        self.mixture_consistency = mixture_consistency
        self.predictor_conditions, self.decoder_conditions = predictor_conditions, decoder_conditions  # fmt: skip
        self.lips, self.identity = build_encoders(encoders)
        self.envelope = nn.Linear(self.lips.dim, envelope_bands) if self.lips is not None else None
        sizes = {} if predictor is None else self._sizes("predictor_conditions")
        self.predictor = build_predictor(predictor, stft.bins, sizes)
        self.diffusion = None
        if has_generator(decoder, sde, objective, predictor):
            sizes = self._sizes("decoder_conditions")
            self.diffusion = build_generator(decoder, sde, objective, diffusion, stft.bins, sizes)
        self.distillation = build_distillation(distillation, self.diffusion)
        parts = (self.lips, self.predictor, self.diffusion)
        self.targets = available_targets(type(self).targets, *(part is not None for part in parts))
        if self.distillation is None:
            self.targets = {n: p for n, p in self.targets.items() if n not in DISTILLING}

    def _sizes(self, option: str) -> dict:
        return condition_sizes(getattr(self, option), self.lips, self.identity, f"task.{option}")

    # -- data -----------------------------------------------------------------------------------

    def dataset(
        self, folder: Path, training: bool, options: dict[str, Any]
    ) -> DrawnMixtures | ListedMixtures:
        chosen = read_options(MixtureOptions, options, "data")
        if not training:
            return listed(folder, chosen)
        if self.mixture_consistency and chosen.noise is not None:
            raise ConfigError(
                "task.mixture_consistency: tracks do not sum to a mixture with noise; set it to false"
            )
        return DrawnMixtures(folder, chosen, self.augmentation)

    collate = staticmethod(collate_mixtures)

    def count(self, batch: Batch) -> int:
        return int(spectrum_frames(self.stft, batch["frames"]).sum()) * batch["sources"].shape[1]

    # -- training -------------------------------------------------------------------------------

    def forward(self, batch: Batch, target: str) -> Losses:
        self._freeze(target)
        scene = self._scene(batch)
        sources = rearrange(batch["sources"] / scene.level[:, None, None], "b s n -> (b s) n")
        if target == "warmup":
            states = spectrum_states(self._lip_states(scene), scene, self.frame_rate)
            return self._envelope_losses(scene, sources, states)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._trains_mean(target)):
            cond = self._conditions(scene)
            mean = self._mean(scene, cond)
        if target in ("generator", *DISTILLING):
            return self._generator_losses(scene, sources, batch, mean, cond, target)
        losses = self._predictor_losses(scene, sources, batch["blind"], mean, cond)
        if target == "joint":
            generator = self._generator_losses(scene, sources, batch, mean, cond, "generator")
            losses = joint_losses(losses, generator, self.losses.generator)
        return losses

    def _trains_mean(self, target: str) -> bool:
        """Whether encoders and predictor are trained, or the encoders that the generator has for itself."""
        if target == "generator":
            return self.predictor is None
        return target not in DISTILLING

    def _predictor_losses(
        self, scene: Scene, sources: Tensor, no_video: Tensor, estimate: Tensor, cond: Conditions
    ) -> Losses:
        """Sum over speakers of the terms, each speaker weighted by its number of frames."""
        weights, frames, samples = self.losses, scene.mask.sum(-1), scene.samples
        wav, wanted = self._waveforms(estimate, scene), self._wanted(scene, sources, no_video)
        terms = waveform_terms(weights, wav, wanted, sources, scene.mixture, samples)
        if weights.spectrum:
            spectra = spectra_of(self.stft, wanted, samples)
            terms["spectrum"] = 1000 * spectral_error(estimate, spectra, scene.mask) / frames
        losses = Losses(wav.new_zeros(()))
        if self.lips is not None:
            losses = self._envelope_losses(scene, sources, cond.frames["lips"])
            losses.loss = weights.envelope * losses.loss
        losses = add_terms(losses, weights, terms, frames)
        losses.by_item = terms["si_sdr"].detach()
        return losses

    def _wanted(self, scene: Scene, sources: Tensor, no_video: Tensor) -> Tensor:
        """Training targets (B S, N): the sources, or the mixture for speakers that no video identifies."""
        if self.losses.no_video_target == "source" or self.lips is None:
            return sources
        uses_others = "others" in self.predictor_conditions
        unknown = unknown_speakers(no_video, scene.others_dropped, uses_others)
        return torch.where(unknown[:, None], scene.mixture, sources)

    def _envelope_losses(self, scene: Scene, sources: Tensor, lips: Tensor) -> Losses:
        """Squared error of the log-envelope in a few bands, in units of 10 dB."""
        measured = self._envelopes(sources)
        with self._autocast():
            predicted = self.envelope(lips).float()
        valid = spectrum_states(scene.valid.float()[..., None], scene, self.frame_rate)[..., 0]
        return envelope_losses(predicted, measured, valid)

    def _generator_losses(
        self,
        scene: Scene,
        sources: Tensor,
        batch: Batch,
        mean: Tensor,
        cond: Conditions,
        target: str,
    ) -> Losses:
        x0 = spectra_of(self.stft, sources, scene.samples)
        noise = SeededNoise(speaker_seeds(batch["seeds"], scene.speakers))
        cond = selected(cond, self.decoder_conditions)
        if target in DISTILLING:
            inputs = x0, mean, cond, scene.mask, noise, self.noise_scale
            return diffusion_losses(self.distillation.loss(target, self.diffusion, *inputs))
        found = self.diffusion.loss(x0, mean, cond, scene.mask, noise, decoder_mu=mean)
        losses, weights = diffusion_losses(found), self.losses
        if weights.estimate or weights.estimate_stft:
            wav = self._waveforms(found.estimate.data, scene)
            terms = estimate_terms(weights, wav, sources, scene.samples)
            losses = add_terms(losses, weights, terms, scene.mask.sum(-1))
        return losses

    def begin(self, source: Path | None) -> None:
        if self.distillation is not None:
            self.distillation.begin(self.diffusion, source)

    def _freeze(self, target: str) -> None:
        """Networks without trained parameters are in eval mode: no dropout, fixed batch statistics."""
        for name, child in self.named_children():
            trained = f"{name}.".startswith(self.targets[target])
            train_unfrozen(child, self.training and trained)

    # -- separation -----------------------------------------------------------------------------

    @torch.inference_mode()
    def separate(
        self,
        mixture: Tensor,
        mouth: Tensor,
        valid: Tensor,
        face: Tensor,
        frames: Tensor,
        sampler: Sampler | None,
        noise: Noise,
        noise_scale: float | None = None,
        guidance: Mapping[str, float] = {},
        lags: Tensor | None = None,
    ) -> Separated:
        """Separate a batch of mixtures (B, N) with S faces each.

        Args:
            mouth, valid, face: (B, S, T, 96, 96), (B, S, T) and (B, S, 224, 224, 3), as prepared.
            frames: (B,) valid video frames.
            sampler: None for the predictor alone.
            noise: for B S items, speakers of a mixture side by side (`speaker_seeds`).
            guidance: scale by name of a condition of the decoder (or `mu`).
            lags: (B, S) frames by which the videos are late; estimated by default.
        """
        scene = make_scene(self.stft, mixture, mouth, valid, face, frames)
        lags = self._lags(scene, mixture) if lags is None else lags
        scene.shift_videos(lags)
        cond = self._conditions(scene)
        first = refined = self._mean(scene, cond)
        calls = 0
        if sampler is not None and self.diffusion is not None:
            scale = self.noise_scale if noise_scale is None else noise_scale
            cond = selected(cond, self.decoder_conditions)
            terms = guidance_terms(cond, first, guidance)
            with EvaluationCounter(self.diffusion.decoder) as counted:
                refined = self.diffusion.sample(
                    sampler, first, cond, scene.mask, noise, noise_scale=scale, guidance=terms
                )
            calls = counted.count
        tracks = [self._tracks(spectra, scene, mixture) for spectra in (refined, first)]
        return Separated(*tracks, calls, lags)

    def _tracks(self, spectra: Tensor, scene: Scene, mixture: Tensor) -> Tensor:
        """Spectra (B S, 2, F, T) -> tracks (B, S, N) at the level of the mixture."""
        tracks = rearrange(self._waveforms(spectra, scene), "(b s) n -> b s n", s=scene.speakers)
        tracks = tracks * scene.level[:, None, None]
        return blend_ambiguous(tracks, mixture[:, : tracks.shape[-1]], self.ambiguity_threshold)

    def _waveforms(self, spectra: Tensor, scene: Scene) -> Tensor:
        """Spectra (B S, 2, F, T) -> waveforms (B S, N)."""
        wav = waveforms_of(self.stft, spectra, scene.samples)
        return scene.mixture_consistent(wav) if self.mixture_consistency else wav

    def preview(self, batches: list[Batch], sampler: Sampler | None, pictures: int) -> Preview:
        """SI-SDR improvement of the batches by kind of pair; see `tasks.avss.preview`."""

        def separate(batch: Batch) -> Separated:
            noise = SeededNoise(speaker_seeds(batch["seeds"], batch["sources"].shape[1]))
            return self.separate(*(batch[name] for name in INPUTS), sampler, noise)

        return preview(batches, separate, pictures)

    # -- synchrony ------------------------------------------------------------------------------

    @torch.inference_mode()
    def loudness(
        self, mixture: Tensor, mouth: Tensor, valid: Tensor, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The inputs of `find_lags` at the video's frame rate, log10 power in bands.

        (B, S, T, bands) of each speaker, predicted from the lips, and (B, T, bands) of the mixture.
        """
        return self._loudness(make_scene(self.stft, mixture, mouth, valid, None, frames), mixture)

    def _loudness(self, scene: Scene, mixture: Tensor) -> tuple[Tensor, Tensor]:
        states = self._lip_states(scene)
        with self._autocast():
            predicted = self.envelope(states).float()
        measured = self._envelopes(mixture / scene.level[:, None])
        measured = nn.functional.adaptive_avg_pool1d(measured.mT, predicted.shape[1]).mT
        predicted = rearrange(predicted, "(b s) t c -> b s t c", s=scene.speakers)
        return 2 * predicted - 1, 2 * measured - 1

    def _lags(self, scene: Scene, mixture: Tensor) -> Tensor:
        if not self.synchrony.max_lag or self.lips is None:
            return torch.zeros(len(mixture), scene.speakers, dtype=torch.long)
        predicted, measured = self._loudness(scene, mixture)
        valid = rearrange(scene.valid, "(b s) t -> b s t", s=scene.speakers)
        frames = scene.frames[:: scene.speakers].tolist()
        return estimate_lags(predicted, measured, valid, frames, self.synchrony)

    # -- networks -------------------------------------------------------------------------------

    @property
    def frame_rate(self) -> float:
        """Frames of the spectrum per second."""
        return SAMPLE_RATE / self.stft.hop

    def _scene(self, batch: Batch) -> Scene:
        scene = make_scene(self.stft, *(batch[name] for name in INPUTS))
        scene.others_dropped = batch["alone"].flatten() if "alone" in batch else None
        return scene

    def _lip_states(self, scene: Scene) -> Tensor:
        with self._autocast():
            return self.lips(scene.mouth, scene.valid).float()

    def _conditions(self, scene: Scene) -> Conditions:
        lips = None if self.lips is None else self._lip_states(scene)
        identity = None
        if self.identity is not None:
            with self._autocast():
                identity = self.identity(scene.face).float()
        others = "others" in (*self.predictor_conditions, *self.decoder_conditions)
        return all_conditions(scene, lips, identity, self.frame_rate, others)

    def _mean(self, scene: Scene, cond: Conditions) -> Tensor:
        """The mean of the process (B S, 2, F, T): the predictor's estimate, else the mixture."""
        if self.predictor is None:
            return scene.y
        with self._autocast():
            return self.predictor(scene.y, cond, scene.mask).float()

    def _envelopes(self, wav: Tensor) -> Tensor:
        return envelopes_of(self.stft, wav, self.envelope.out_features)

    def _autocast(self) -> AbstractContextManager:
        device = next(self.parameters()).device.type
        return bfloat16(device, self.bf16 and not torch.is_autocast_enabled(device))
