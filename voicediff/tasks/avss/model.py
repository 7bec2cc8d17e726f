"""Audio-visual speech separation: one voice per face, by a predictor, a diffusion model, or both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
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
from voicediff.diffusion.guidance import GuidanceTerm
from voicediff.diffusion.model import DiffusionLosses
from voicediff.diffusion.noise import Noise, SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.encoders.alignment import at_spectrum
from voicediff.errors import ConfigError
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask, train_unfrozen
from voicediff.networks.losses import si_sdr, spectral_error
from voicediff.networks.precision import bfloat16
from voicediff.registry import Spec, build, read_options, register
from voicediff.tasks.avss.losses import LossWeights, heard_terms, sound_terms
from voicediff.tasks.avss.parts import (
    Seen,
    distillation_of,
    encoders_of,
    generator_of,
    needs_generator,
    sizes_of,
)
from voicediff.tasks.avss.scene import (
    Scene,
    envelopes_of,
    in_doubt,
    scene_of,
    sounds_of,
    spectra_of,
    spectrum_frames,
)
from voicediff.tasks.avss.synchrony import Synchrony, find_lags
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.video.constants import FPS, HOP, SAMPLE_RATE


@dataclass
class Separated:
    """What `separate` gives.

    voices: (B, S, N); first: (B, S, N) the predictor's own, equal where there is no generator;
    calls: how often the decoder was asked, per voice; lags: (B, S) frames by which videos came late
    and were moved.
    """

    voices: Tensor
    first: Tensor
    calls: int
    lags: Tensor | None = None


@register("task", "avss")
class SpeechSeparation(Task):
    """One voice for each face: lips steer a predictor, and diffusion around its estimate refines it.

    With both parts it is Approach 2 (StoRM, AVDiffuSS): the mean of the process is the estimate D(y).
    Without a predictor it is Approach 1: the mean is the mixture.

    Args:
        encoders: `lips`, `identity`, both or, for enhancement without a video, none.
        predictor: from the mixture to the voice, or null.
        decoder, sde, objective: the diffusion part, or none of them.
        stft: the one transform of data, model and synthesis.
        predictor_conditions: beside the mixture. `lips` at every frame, `identity` as a vector; as tokens
            they are attended to, lips and identity side by side as one visual stream. `others` is
            what the lips of the other voices show on average, 0 where there are none: when
            somebody else speaks is half of what there is to know.
        decoder_conditions: beside x and the process' mean.
        losses: of the predictor and of the lips.
        augmentation: how training disturbs the videos.
        diffusion: options of `Diffusion`; its `drop` hides conditions for guidance.
        envelope_bands: of the envelope that lips are asked for.
        bf16: run predictor and lip encoder in bfloat16 at inference too, where the device has it.
        noise_scale: standard deviation of the prior's noise in `separate`.
        synchrony: how far videos that are early or late are looked for and moved in separation.
        ambiguity_threshold: how little two tracks must share (1 less the share of energy) to be handed out as they
            are; in separation, those more alike get some of what the mixture holds of both (`in_doubt`).
        mixture_consistency: what voices leave of the mixture is shared among them alike, in training and in
            separation, so that they sum to it: two looks at the same two voices, from either face. For
            mixtures without noise.
        distillation: how the generator learns from the one it begins as (`--init-from`) to refine in
            few calls, in the targets `consistency` and `reflow`; null for all other trainings.
        assets: nothing is needed (given).
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
        predictor_conditions: list[Seen] = ["lips"],  # noqa: B006
        decoder_conditions: list[Seen] = ["mixture", "lips"],  # noqa: B006
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
        self.predictor_conditions, self.decoder_conditions = (
            predictor_conditions,
            decoder_conditions,
        )
        self.lips, self.identity = encoders_of(encoders)
        self.envelope = nn.Linear(self.lips.dim, envelope_bands) if self.lips is not None else None
        self.predictor = None
        if predictor is not None:
            self.predictor = build(
                "predictor",
                predictor,
                channels_in=2,
                bins=stft.bins,
                conditions=sizes_of(
                    predictor_conditions, self.lips, self.identity, "task.predictor_conditions"
                ),
            )
        self.diffusion = None
        if needs_generator(decoder, sde, objective, predictor):
            sizes = sizes_of(
                decoder_conditions, self.lips, self.identity, "task.decoder_conditions"
            )
            self.diffusion = generator_of(decoder, sde, objective, diffusion, stft.bins, sizes)
        self.distillation = distillation_of(distillation, self.diffusion)
        self._name_targets()

    # -- data -----------------------------------------------------------------------------------

    def dataset(
        self, folder: Path, training: bool, options: dict[str, Any]
    ) -> DrawnMixtures | ListedMixtures:
        chosen = read_options(MixtureOptions, options, "data")
        if training and self.mixture_consistency and chosen.noise is not None:
            raise ConfigError(
                "task.mixture_consistency: voices in noise do not sum to their mixture; set it to false"
            )
        return (
            DrawnMixtures(folder, chosen, self.augmentation) if training else listed(folder, chosen)
        )

    collate = staticmethod(collate_mixtures)

    def count(self, batch: Batch) -> int:
        return int(spectrum_frames(self.stft, batch["frames"]).sum()) * batch["sources"].shape[1]

    # -- training -------------------------------------------------------------------------------

    def forward(self, batch: Batch, target: str) -> Losses:
        self._freeze(target)
        scene = self._scene(batch)
        scene.alone = batch["alone"].flatten() if "alone" in batch else None
        sources = rearrange(batch["sources"] / scene.level[:, None, None], "b s n -> (b s) n")
        if target == "warmup":
            return self._envelope_losses(scene, sources, self._lips(scene))
        if self.predictor is None and target == "generator":
            return self._generator_losses(scene, sources, batch, scene.y, self._conditions(scene))
        if target in ("generator", *DISTILLING):
            with torch.no_grad():
                cond = self._conditions(scene)
                estimate = scene.y if self.predictor is None else self._predict(scene, cond)
            return self._generator_losses(scene, sources, batch, estimate, cond, target)
        cond = self._conditions(scene)
        estimate = self._predict(scene, cond)
        found = self._predictor_losses(scene, sources, batch, estimate, cond)
        if target == "joint":
            noisy = self._generator_losses(scene, sources, batch, estimate, cond)
            found.loss = found.loss + self.losses.generator * noisy.loss
            found.terms |= noisy.terms
            found.t, found.by_item = noisy.t, noisy.by_item
        return found

    def _predictor_losses(
        self, scene: Scene, sources: Tensor, batch: Batch, estimate: Tensor, cond: Conditions
    ) -> Losses:
        """Weighted sum over voices of the terms, each voice counting as many times as it has frames."""
        weights, frames, samples = self.losses, scene.mask.sum(-1), scene.samples
        wav, mixture, target = self._heard(estimate, scene), scene.sound, sources
        if weights.no_video_target == "mixture" and self.lips is not None:
            target = torch.where(self._unknown(batch, scene)[:, None], mixture, sources)
        terms = sound_terms(weights, wav, target, sources, mixture, samples)
        if weights.spectrum:
            wanted = spectra_of(self.stft, target, samples)
            terms["spectrum"] = 1000 * spectral_error(estimate, wanted, scene.mask) / frames
        found = Losses(wav.new_zeros(()))
        if self.lips is not None:
            found = self._envelope_losses(scene, sources, cond.frames["lips"])
            found.loss = weights.envelope * found.loss
        for name, values in terms.items():
            found.terms[name] = (values.detach() * frames).sum()
            found.loss = found.loss + getattr(weights, name) * (values * frames).sum()
        found.by_item = terms["si_sdr"].detach()
        return found

    def _unknown(self, batch: Batch, scene: Scene) -> Tensor:
        """Voices (B S,) that neither their own video nor, by exclusion, all others' can tell."""
        blind = batch["blind"]
        if "others" not in self.predictor_conditions or scene.voices < 2:
            return blind.flatten()
        left_over = blind.sum(1, keepdim=True) - blind.int() == 0
        unknown = (blind & ~left_over).flatten()
        return unknown if scene.alone is None else unknown | (blind.flatten() & scene.alone)

    def _envelope_losses(self, scene: Scene, sources: Tensor, lips: Tensor) -> Losses:
        """Squared error of the log-envelope in a few bands, in units of 10 dB."""
        wanted = self._envelopes(sources)
        with self._autocast():
            told = self.envelope(lips).float()
        seen = self._at_spectrum(scene.valid.float()[..., None], scene)[..., 0]
        error = ((told - wanted).square().mean(-1) * seen).sum()
        return Losses(error, {"envelope": error.detach()})

    def _generator_losses(
        self,
        scene: Scene,
        sources: Tensor,
        batch: Batch,
        mean: Tensor,
        cond: Conditions,
        target: str = "generator",
    ) -> Losses:
        x0 = spectra_of(self.stft, sources, scene.samples)
        noise = SeededNoise(voice_seeds(batch["seeds"], scene.voices))
        cond = self._of_decoder(scene, cond)
        if target in DISTILLING:
            found = self._distilled(target, x0, mean, cond, scene.mask, noise)
        else:
            found = self.diffusion.loss(x0, mean, cond, scene.mask, noise, decoder_mu=mean)
        losses = Losses(
            found.loss, {"diffusion": found.loss.detach()}, found.t, found.by_item.detach()
        )
        weights = self.losses
        if (weights.estimate or weights.estimate_stft) and target not in DISTILLING:
            wav = self._heard(found.estimate.data, scene)
            for name, values in heard_terms(weights, wav, sources, scene.samples).items():
                error = (values * scene.mask.sum(-1)).sum()
                losses.terms[name] = error.detach()
                losses.loss = losses.loss + getattr(weights, name) * error
        return losses

    def _distilled(
        self, target: str, x0: Tensor, mean: Tensor, cond: Conditions, mask: Tensor, noise: Noise
    ) -> DiffusionLosses:
        lesson, student = self.distillation, self.diffusion
        if target == "consistency":
            return lesson.consistency(student, x0, mean, cond, mask, noise)
        return lesson.reflow(student, mean, cond, mask, noise, self.noise_scale)

    def begin(self, source: Path | None) -> None:
        if self.distillation is not None:
            self.distillation.begin(self.diffusion, source)

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
        """Separate a batch of mixtures (B, N) with S faces each; None: the predictor alone.

        mouth (B, S, T, 96, 96), valid (B, S, T), face (B, S, 224, 224, 3) as prepared; frames (B,).
        noise is for B S items, voices of a mixture beside each other (`voice_seeds`).
        guidance: by name of a condition of the decoder (or `mu`), how far to move away from what it
        says without it.
        lags: (B, S) frames by which videos come late; looked for where they are not given.
        """
        scene = scene_of(self.stft, mixture, mouth, valid, face, frames)
        if lags is None:
            lags = self._lags(scene, mixture)
        scene.move(lags)
        cond = self._conditions(scene)
        first = scene.y if self.predictor is None else self._predict(scene, cond)
        x, calls = first, 0
        if sampler is not None and self.diffusion is not None:
            told = self._of_decoder(scene, cond)
            with counted(self.diffusion.decoder) as count:
                x = self.diffusion.sample(
                    sampler,
                    first,
                    told,
                    scene.mask,
                    noise,
                    noise_scale=self.noise_scale if noise_scale is None else noise_scale,
                    guidance=_guidance(told, first, guidance),
                )
            calls = count.calls
        voices, first = (self._tracks(s, scene, mixture) for s in (x, first))
        return Separated(voices, first, calls, lags)

    def _tracks(self, spectra: Tensor, scene: Scene, mixture: Tensor) -> Tensor:
        """Spectra (B S, 2, F, T) -> voices (B, S, N) at the level of the mixture."""
        sounds = self._heard(spectra, scene)
        voices = rearrange(sounds, "(b s) n -> b s n", s=scene.voices)
        return in_doubt(
            voices * scene.level[:, None, None],
            mixture[:, : voices.shape[-1]],
            self.ambiguity_threshold,
        )

    def _heard(self, spectra: Tensor, scene: Scene) -> Tensor:
        """Spectra (B S, 2, F, T) -> sounds (B S, N)."""
        sounds = sounds_of(self.stft, spectra, scene.samples)
        return scene.balanced(sounds) if self.mixture_consistency else sounds

    @torch.inference_mode()
    def loudness(
        self, mixture: Tensor, mouth: Tensor, valid: Tensor, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What `find_lags` compares at the frames of the video, in bands of log10 power: (B, S, T, bands)
        of each voice as its lips tell it, and (B, T, bands) of the mixture.
        """
        return self._loudness(scene_of(self.stft, mixture, mouth, valid, None, frames), mixture)

    def preview(self, batches: list[Batch], sampler: Sampler | None, pictures: int) -> Preview:
        """Separate the batches: improvement of SI-SDR by kind of pair, final and predictor's own."""
        shown = Preview(sample_rate=SAMPLE_RATE)
        rows: dict[str, list[float]] = {}
        for batch in batches:
            noise = SeededNoise(voice_seeds(batch["seeds"], batch["sources"].shape[1]))
            inputs = (batch[k] for k in ("mixture", "mouth", "valid", "face", "frames"))
            found = self.separate(*inputs, sampler, noise)
            final, chosen = self._improvement(found.voices, batch)
            first, _ = self._improvement(found.first, batch)
            for i, pair in enumerate(batch["pairs"]):
                for name, values in (("si_sdri", final), ("predictor_si_sdri", first)):
                    for kind in (name, f"{name}_{pair}"):
                        rows.setdefault(kind, []).append(values[i].mean().item())
                rows.setdefault("selection", []).append(chosen[i].float().mean().item())
                if len(shown.sounds) < pictures:
                    samples = int(batch["frames"][i]) * HOP
                    name = batch["utts"][i]
                    shown.sounds[name] = found.voices[i, 0, :samples].float().cpu().numpy()
        shown.scalars = {name: float(np.mean(values)) for name, values in sorted(rows.items())}
        shown.scalars["minus_si_sdri"] = -shown.scalars["si_sdri"]
        return shown

    def _improvement(self, voices: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """SI-SDR improvement (B, S) in dB, and whether the right voice is the nearest one (B, S)."""
        samples, sources = batch["frames"] * HOP, batch["sources"]
        count = sources.shape[1]
        table = torch.stack(
            [
                torch.stack([si_sdr(voices[:, i], sources[:, j], samples) for j in range(count)], 1)
                for i in range(count)
            ],
            1,
        )  # (B, voice, source)
        before = [si_sdr(batch["mixture"], sources[:, j], samples) for j in range(count)]
        right = table.diagonal(dim1=1, dim2=2)
        return right - torch.stack(before, 1), table.argmax(2) == torch.arange(
            count, device=table.device
        )

    # -- parts ----------------------------------------------------------------------------------

    @property
    def frame_rate(self) -> float:
        """Frames of the spectrum per second."""
        return SAMPLE_RATE / self.stft.hop

    def _name_targets(self) -> None:
        """The targets that this configuration has; without a predictor the generator trains the lips."""
        self.targets = dict(type(self).targets)
        if self.predictor is None:
            self.targets["generator"] = ("lips.", "identity.", "diffusion.")
            del self.targets["predictor"], self.targets["joint"]
        if self.diffusion is None:
            del self.targets["generator"], self.targets["joint"]
        if self.lips is None:
            del self.targets["warmup"]
        if self.distillation is None:
            self.targets = {name: p for name, p in self.targets.items() if name not in DISTILLING}

    def _freeze(self, target: str) -> None:
        """Nets without a parameter to train stand in eval mode: their statistics and dropout rest."""
        for name, child in self.named_children():
            train_unfrozen(child, self.training and f"{name}.".startswith(self.targets[target]))

    def _scene(self, batch: Batch) -> Scene:
        names = ("mixture", "mouth", "valid", "face", "frames")
        return scene_of(self.stft, *(batch[name] for name in names))

    def _lips(self, scene: Scene) -> Tensor:
        """States of the lips at the frames of the spectrum (B S, T, D)."""
        return self._at_spectrum(self._mouths(scene), scene)

    def _mouths(self, scene: Scene) -> Tensor:
        with self._autocast():
            return self.lips(scene.mouth, scene.valid).float()

    def _at_spectrum(self, states: Tensor, scene: Scene) -> Tensor:
        count, frames = scene.mask.shape[1], scene.samples // HOP
        states = at_spectrum(states, count, FPS, self.frame_rate, frames)
        return states * scene.mask[..., None]

    def _conditions(self, scene: Scene) -> Conditions:
        """All that may be known of each voice; networks take what they were built for."""
        cond, frames = Conditions(), scene.mouth.shape[1]
        # rows of zeros are tokens that are not there: those after an item's end
        shown = length_mask(scene.samples // HOP, frames)[..., None]
        if self.lips is not None:
            states = self._mouths(scene)
            cond.frames["lips"] = self._at_spectrum(states, scene)
            if "others" in (*self.predictor_conditions, *self.decoder_conditions):
                cond.frames["others"] = scene.others(cond.frames["lips"])
            cond.tokens["lips_tokens"] = states * shown
        if self.identity is not None:
            with self._autocast():
                vector = self.identity(scene.face).float()
            cond.vector["identity"] = vector
            cond.tokens["identity_tokens"] = vector[:, None] * shown
        return cond

    def _of_decoder(self, scene: Scene, cond: Conditions) -> Conditions:
        """The decoder's own, so that only what it sees can be dropped and guided."""
        kept = Conditions(maps={"mixture": scene.y}, **_kinds(cond))
        kept = Conditions(
            **{
                kind: {n: x for n, x in named.items() if n in self.decoder_conditions}
                for kind, named in vars(kept).items()
            }
        )
        return kept

    def _predict(self, scene: Scene, cond: Conditions) -> Tensor:
        cond = Conditions(maps={"mixture": scene.y}, **_kinds(cond))
        with self._autocast():
            return self.predictor(scene.y, cond, scene.mask).float()

    def _autocast(self) -> AbstractContextManager:
        device = next(self.parameters()).device.type
        return bfloat16(device, self.bf16 and not torch.is_autocast_enabled(device))

    def _envelopes(self, wav: Tensor) -> Tensor:
        return envelopes_of(self.stft, wav, self.envelope.out_features)

    # -- synchrony ------------------------------------------------------------------------------

    def _loudness(self, scene: Scene, mixture: Tensor) -> tuple[Tensor, Tensor]:
        with self._autocast():
            told = self.envelope(self._mouths(scene)).float()
        heard = self._envelopes(mixture / scene.level[:, None])
        heard = nn.functional.adaptive_avg_pool1d(heard.mT, told.shape[1]).mT
        told = rearrange(told, "(b s) t c -> b s t c", s=scene.voices)
        return 2 * told - 1, 2 * heard - 1

    def _lags(self, scene: Scene, mixture: Tensor) -> Tensor:
        lags = torch.zeros(len(mixture), scene.voices, dtype=torch.long)
        if self.synchrony.max_lag and self.lips is not None:
            told, heard = self._loudness(scene, mixture)
            valid = rearrange(scene.valid, "(b s) t -> b s t", s=scene.voices)
            counts = (scene.samples[:: scene.voices] // HOP).tolist()
            for item, count in enumerate(counts):
                parts = told[item, :, :count], heard[item, :count], valid[item, :, :count]
                lags[item] = torch.tensor(find_lags(*(x.cpu() for x in parts), self.synchrony))
        return lags


class counted:
    """Within the block `calls` counts how often a module was asked."""

    def __init__(self, module: nn.Module):
        self.module, self.calls = module, 0

    def __enter__(self) -> counted:
        self.hook = self.module.register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *error: object) -> None:
        self.hook.remove()

    def _count(self, module: nn.Module, inputs: tuple) -> None:
        self.calls += 1


def voice_seeds(seeds: list[int], voices: int) -> list[int]:
    """A seed for the noise of each voice, voices of a mixture beside each other."""
    return [item_seed(seed, "voice", number) for seed in seeds for number in range(voices)]


def _kinds(cond: Conditions) -> dict[str, dict[str, Tensor]]:
    return {"frames": cond.frames, "tokens": cond.tokens, "vector": cond.vector}


def _guidance(cond: Conditions, mean: Tensor, guidance: Mapping[str, float]) -> list[GuidanceTerm]:
    """A guide for each name: the decoder without that condition."""
    unknown = set(guidance) - {"mu", *cond.names()}
    if unknown:
        raise ConfigError(
            f"guidance: the decoder has no condition {sorted(unknown)[0]!r}; "
            f"choices: mu, {', '.join(cond.names())}"
        )
    return [
        GuidanceTerm(scale, cond.without([name]), torch.zeros_like(mean) if name == "mu" else None)
        for name, scale in guidance.items()
    ]
