"""Singing voice synthesis from a score: Grad-TTS' idea without its duration predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from voicediff.audio import MelSpec, mel_filters
from voicediff.data.singing.dataset import (
    PITCHES,
    AlignedScore,
    ScoreInputs,
    SingingDataset,
    align_score,
    collate_scores,
    pad_frames,
)
from voicediff.data.singing.features import Statistics, read_mel_spec, read_statistics
from voicediff.diffusion.distillation import DISTILLING, Distillation, DistillationOptions
from voicediff.diffusion.guidance import Known
from voicediff.diffusion.model import Diffusion, DiffusionLosses
from voicediff.diffusion.noise import Noise, SeededNoise
from voicediff.diffusion.samplers import Sampler
from voicediff.encoders.contour import (
    Harmonics,
    PitchContour,
    contour_f0,
    contour_losses,
    midi_to_hz,
)
from voicediff.encoders.score import ScoreEncoder
from voicediff.errors import ConfigError
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.music.score import Score
from voicediff.music.timing import Timing
from voicediff.networks.conditions import Conditions
from voicediff.registry import Spec, build, register
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.tasks.pictures import stacked


@dataclass
class FrameLayers:
    """The convolutions between expanded encoders and mu, see `ScoreEncoder`."""

    channels: int = 256
    layers: int = 4
    kernel: int = 5
    dropout: float = 0.1
    expansion: Literal["after", "before"] = "after"
    places: bool = True
    harmonics: bool = False


@dataclass
class ContourLayers:
    """The pitch-contour head, see `PitchContour`; `weight` scales its loss."""

    channels: int = 96
    layers: int = 3
    dropout: float = 0.1
    weight: float = 1.0


@dataclass
class Song:
    """What `generate` gives for a batch: natural-log mel (B, F, T), F0 in Hz (B, T), mask (B, T)."""

    mel: Tensor
    f0: Tensor
    mask: Tensor


@dataclass
class Kept:
    """Frames that are given: natural-log mel (B, F, T), and where (B, T) bool they are."""

    mel: Tensor
    where: Tensor

    def to(self, device: torch.device | str) -> Kept:
        return Kept(self.mel.to(device), self.where.to(device))


@register("task", "svs")
class SingingSynthesis(Task):
    """Singing from notes and syllables: encoders give mu, diffusion from N(mu, I) gives the mel.

    Args:
        encoders: `text` and `pitch`, both on phones.
        decoder, sde, objective: the diffusion part.
        tokenizer: what the text encoder reads.
        mel: the mel description; hashed into the features and the vocoder.
        timing: how a syllable's phones share its frames.
        frames: the convolutions that bring expanded encoder states to mu.
        contour: pitch-contour head, or null; without it F0 is the written melody.
        decoder_conditions: beside x and mu: the `states` after the convolutions; what the `text` and the
            `pitch` encoder say, each on its own, so that guidance can leave one out; and the
            `harmonics` of the contour (of the recording's F0 in training).
        normalize: `none` works on log-mel as it is (Grad-TTS); `bins` takes off the mean of each
            bin and divides by one standard deviation; `range` maps `mel_range` to -1 ... 1
            (DiffSinger's spec_min and spec_max).
        mel_range: lowest and highest natural-log mel of `normalize: range`.
        diffusion: options of `Diffusion` (distribution of t, conditions to drop ...).
        dropout_in_mu: keep the encoder's dropout while the decoder trains, so that the decoder
            meets residuals as large as on songs the encoder never saw.
        noise_scale: standard deviation of the prior's noise in `generate` (Grad-TTS' temperature).
        shallow: t at which `generate` begins, from mu noised to there (DiffSinger's K / N); None
            begins at t_max with the process' own prior.
        guidance: scale of `generate` by condition, e.g. `{text: 0.5}`; each must be in
            `diffusion.drop`. 0 is no guidance.
        distillation: how the model learns from the one it begins as (`--init-from`) to sample in
            few calls, in the targets `consistency` and `reflow`; null for all other trainings.
        assets: folder with token list, statistics and mel settings (given).
    """

    best, begun = "frechet", ("distillation.",)
    targets: ClassVar = {
        "encoder": ("prior.", "contour."),
        "decoder": ("diffusion.",),
        "joint": ("",),
        **dict.fromkeys(DISTILLING, ("diffusion.",)),
    }

    def __init__(
        self,
        encoders: dict[str, Spec],
        decoder: Spec,
        sde: Spec,
        objective: Spec,
        tokenizer: Spec = {"name": "phone"},  # noqa: B006
        mel: MelSpec = MelSpec(),
        timing: Timing = Timing(),
        frames: FrameLayers = FrameLayers(),
        contour: ContourLayers | None = None,
        decoder_conditions: list[Literal["states", "text", "pitch", "harmonics"]] = [],  # noqa: B006
        normalize: Literal["none", "bins", "range"] = "bins",
        mel_range: tuple[float, float] = (-12.0, 0.0),
        diffusion: dict[str, Any] = {},  # noqa: B006
        dropout_in_mu: bool = False,
        noise_scale: float = 1.0,
        shallow: float | None = None,
        guidance: dict[str, float] = {},  # noqa: B006
        distillation: DistillationOptions | None = None,
        assets: Path | None = None,
    ):
        super().__init__()
        self.mel, self.timing = mel, timing
        self.dropout_in_mu, self.noise_scale = dropout_in_mu, noise_scale
        self.shallow, self.guidance = shallow, guidance
        self.tokenizer = build("tokenizer", tokenizer)
        statistics = Statistics.neutral(mel.n_mels)
        if assets is not None:
            self.tokenizer.load(assets)
            read_mel_spec(assets).require(mel, f"{assets}/mel.yaml", "the configuration (task.mel)")
            statistics = read_statistics(assets)
        self.pitch_range = statistics.pitch_range
        self._set_normalization(statistics, normalize, mel_range)
        self.decoder_conditions, self.contour_weight = (
            decoder_conditions,
            contour.weight if contour else 0.0,
        )
        self.prior = self._score_encoder(encoders, frames)
        self.contour = None
        if contour:
            self.contour = PitchContour(
                self.prior.dim, contour.channels, contour.layers, contour.dropout
            )
        self.harmonics = None
        if frames.harmonics or "harmonics" in decoder_conditions:
            self.harmonics = Harmonics(mel_filters(mel), mel.sample_rate, mel.win)
        self.diffusion = self._diffusion(decoder, sde, objective, diffusion)
        self.diffusion.require_sampling(shallow, guidance)
        self.distillation = Distillation(self.diffusion, distillation) if distillation else None
        if distillation is None:
            self.targets = {name: p for name, p in self.targets.items() if name not in DISTILLING}

    # -- data -----------------------------------------------------------------------------------

    def dataset(self, folder: Path, training: bool, options: dict[str, Any]) -> SingingDataset:
        return SingingDataset(
            folder, self.tokenizer, self.timing, self.mel.frame_rate, options.get("crop")
        )

    @staticmethod
    def collate(items: list[dict], seeds: list[int]) -> Batch:
        score = collate_scores([item["score"] for item in items])
        size = score.mask.shape[1]
        return {
            "utts": [item["utt"] for item in items],
            "seeds": seeds,
            "score": score,
            "mel": pad_frames([torch.from_numpy(item["mel"]) for item in items], size),
            "f0": pad_frames([torch.from_numpy(item["f0"]) for item in items], size),
        }

    def inputs(self, scores: Sequence[Score]) -> tuple[ScoreInputs, list[AlignedScore]]:
        """A batch of scores as the model reads them; frames follow from each score's duration."""
        rate = self.mel.frame_rate
        aligned = [
            align_score(s, self.tokenizer, max(round(s.duration * rate), 1), rate, self.timing)
            for s in scores
        ]
        return collate_scores(aligned), aligned

    def count(self, batch: Batch) -> int:
        return int(batch["score"].mask.sum())

    # -- training -------------------------------------------------------------------------------

    def forward(self, batch: Batch, target: str) -> Losses:
        score, f0 = batch["score"], batch["f0"]
        x0 = self._normalized(batch["mel"]) * score.mask[:, None]
        if target == "encoder":
            mu, states = self._mu(score)
            return self._prior_losses(x0, mu, states, score, f0)
        if target in ("decoder", *DISTILLING):
            self.prior.train(self.training and self.dropout_in_mu)
            with torch.no_grad():
                mu, states = self._mu(score)
            return self._diffusion_losses(x0, mu, states, f0, batch, target)
        mu, states = self._mu(score)
        prior = self._prior_losses(x0, mu, states, score, f0)
        noisy = self._diffusion_losses(x0, mu, states, f0, batch)
        noisy.loss, noisy.terms = noisy.loss + prior.loss, noisy.terms | prior.terms
        return noisy

    def _prior_losses(
        self, x0: Tensor, mu: Tensor, states: Tensor, score: ScoreInputs, f0: Tensor
    ) -> Losses:
        """Squared error of mu per bin (Grad-TTS' prior loss up to a constant) and of the contour."""
        squared = ((mu - x0).square().mean(1) * score.mask).sum()
        losses = Losses(squared, {"prior": squared.detach()})
        if self.contour is not None:
            deviation, voicing = self.contour(states, score.mask)
            pitch, voiced = contour_losses(deviation, voicing, score.melody, f0, score.mask)
            losses.loss = losses.loss + self.contour_weight * (pitch + voiced)
            losses.terms |= {"pitch": pitch.detach(), "voicing": voiced.detach()}
        return losses

    def _diffusion_losses(
        self,
        x0: Tensor,
        mu: Tensor,
        states: Tensor,
        f0: Tensor,
        batch: Batch,
        target: str = "decoder",
    ) -> Losses:
        x0, mu, mask = x0[:, None], mu[:, None], batch["score"].mask
        cond, noise = self._conditions(batch["score"], states, f0), SeededNoise(batch["seeds"])
        if target in DISTILLING:
            found = self._distilled(target, x0, mu, cond, mask, noise)
        else:
            found = self.diffusion.loss(x0, mu, cond, mask, noise)
        return Losses(
            found.loss, {"diffusion": found.loss.detach()}, found.t, found.by_item.detach()
        )

    def _distilled(
        self, target: str, x0: Tensor, mu: Tensor, cond: Conditions, mask: Tensor, noise: Noise
    ) -> DiffusionLosses:
        lesson, student = self.distillation, self.diffusion
        if target == "consistency":
            return lesson.consistency(student, x0, mu, cond, mask, noise)
        return lesson.reflow(student, mu, cond, mask, noise, self.noise_scale, self.shallow)

    def begin(self, source: Path | None) -> None:
        if self.distillation is not None:
            self.distillation.begin(self.diffusion, source)

    # -- generation -----------------------------------------------------------------------------

    @torch.inference_mode()
    def generate(
        self,
        score: ScoreInputs,
        sampler: Sampler | None,
        noise: Noise,
        noise_scale: float | None = None,
        guidance: Mapping[str, float] | None = None,
        shallow: float | None = None,
        kept: Kept | None = None,
        callback: Callable | None = None,
        f0: Tensor | None = None,
    ) -> Song:
        """Sing a batch of aligned scores; without a sampler the mel is mu itself (0 calls).

        noise_scale, guidance, shallow: None takes the task's own.
        kept: mels that are given for some of the frames; the rest is sung around them.
        f0: (B, T) in Hz, a recording's; None sings the contour that the model expects.
        """
        mu, states = self._mu(score)
        f0 = self._predicted_f0(states, score) if f0 is None else f0
        x = mu[:, None]
        if sampler is not None:
            cond = self._conditions(score, states, f0)
            scales = self.guidance if guidance is None else guidance
            x = self.diffusion.sample(
                sampler,
                x,
                cond,
                score.mask,
                noise,
                t_start=self.shallow if shallow is None else shallow,
                noise_scale=self.noise_scale if noise_scale is None else noise_scale,
                callback=callback,
                guidance=self.diffusion.guidance_terms(scales, x, cond),
                known=self._known(kept),
            )
        elif kept is not None:
            x = torch.where(kept.where[:, None, None], self._normalized(kept.mel)[:, None], x)
        mel = self._denormalized(x[:, 0]).clamp(min=float(np.log(self.mel.floor)))
        return Song(mel, f0, score.mask)

    def preview(self, batches: list[Batch], sampler: Sampler, pictures: int) -> Preview:
        """Sing the batches; how far their mels are from natural ones, and from mu's distance."""
        shown = Preview(sample_rate=self.mel.sample_rate)
        natural, means, sung = [], [], []
        for batch in batches:
            score = batch["score"]
            mean = self.generate(score, None, SeededNoise(batch["seeds"]))
            song = self.generate(score, sampler, SeededNoise(batch["seeds"]))
            for i, utt in enumerate(batch["utts"]):
                frames = int(score.mask[i].sum())
                parts = (batch["mel"], mean.mel, song.mel)
                mels = [mel[i, :, :frames].float().cpu().numpy() for mel in parts]
                for row, mel in zip((natural, means, sung), mels, strict=True):
                    row.append(mel)
                if len(shown.pictures) < pictures:
                    shown.pictures[utt] = stacked(mels)
                    shown.sounds[utt] = self._listen(mels[2], song.f0[i, :frames])
        shown.scalars = self._figures(natural, sung)
        shown.scalars |= {f"mu_{k}": v for k, v in self._figures(natural, means).items()}
        return shown

    def _figures(
        self, natural: Sequence[np.ndarray], other: Sequence[np.ndarray]
    ) -> dict[str, float]:
        """The metrics that need no sound: cheap enough for validation."""
        rulers = singing_metrics(("frechet", "log_mel_error", "variance_ratio", "modulation_ratio"))
        pairs = ([Item(mel=mel) for mel in mels] for mels in (natural, other))
        return score_row(*pairs, self.mel, rulers)

    @torch.inference_mode()
    def _listen(self, mel: np.ndarray, f0: Tensor) -> np.ndarray:
        vocoder = build("vocoder", {"name": "griffin_lim"}, spec=self.mel)
        return vocoder(torch.from_numpy(mel)[None], f0[None].cpu())[0].numpy()

    # -- parts ----------------------------------------------------------------------------------

    def _score_encoder(self, encoders: dict[str, Spec], frames: FrameLayers) -> ScoreEncoder:
        missing = {"text", "pitch"} - set(encoders)
        if missing or len(encoders) != 2:
            raise ConfigError(
                f"task.encoders: wants exactly `text` and `pitch`, has {list(encoders)}"
            )
        return ScoreEncoder(
            build("encoder", encoders["text"], symbols=len(self.tokenizer.symbols)),
            build("encoder", encoders["pitch"], symbols=2 * PITCHES),
            self.mel.n_mels,
            frames.channels,
            frames.layers,
            frames.kernel,
            frames.dropout,
            frames.expansion,
            frames.places,
            frames.harmonics,
        )

    def _diffusion(
        self, decoder: Spec, sde: Spec, objective: Spec, options: dict[str, Any]
    ) -> Diffusion:
        sees = {
            "states": ("frames", self.prior.dim),
            "text": ("frames", self.prior.text.dim),
            "pitch": ("frames", self.prior.pitch.dim),
            "harmonics": ("maps", 1),
        }
        unknown = set(options.get("drop", {})) - {*self.decoder_conditions, "mu"}
        if unknown:
            raise ConfigError(
                f"task.diffusion.drop: the decoder does not see {', '.join(sorted(unknown))}; "
                f"choices: {', '.join([*self.decoder_conditions, 'mu'])}"
            )
        network = build(
            "decoder",
            decoder,
            channels_in=1,
            bins=self.mel.n_mels,
            conditions={name: sees[name] for name in self.decoder_conditions},
        )
        return Diffusion(network, build("sde", sde), build("objective", objective), **options)

    def _mu(self, score: ScoreInputs) -> tuple[Tensor, Tensor]:
        """mu (B, F, T) in normalized units and the encoders' states (B, T, D)."""
        comb = None
        if self.prior.harmonics:
            comb = self.harmonics(midi_to_hz(score.melody) * score.mask)
        return self.prior(score, comb)

    def _predicted_f0(self, states: Tensor, score: ScoreInputs) -> Tensor:
        if self.contour is None:
            return midi_to_hz(score.melody) * score.mask
        return contour_f0(*self.contour(states, score.mask), score.melody, score.mask)

    def _conditions(self, score: ScoreInputs, states: Tensor, f0: Tensor) -> Conditions:
        cond = Conditions()
        if "states" in self.decoder_conditions:
            cond.frames["states"] = states
        if {"text", "pitch"} & set(self.decoder_conditions):
            symbols = dict(zip(("text", "pitch"), self.prior.symbols(score), strict=True))
            cond.frames |= {n: x for n, x in symbols.items() if n in self.decoder_conditions}
        if "harmonics" in self.decoder_conditions:
            cond.maps["harmonics"] = self.harmonics(f0)[:, None]
        return cond

    def _known(self, kept: Kept | None) -> Known | None:
        if kept is None:
            return None
        return Known(self._normalized(kept.mel)[:, None], kept.where[:, None, None])

    def _set_normalization(
        self, statistics: Statistics, normalize: str, mel_range: tuple[float, float]
    ) -> None:
        mean, std = torch.zeros(self.mel.n_mels), torch.ones(())
        if normalize == "bins":
            mean = torch.tensor(statistics.mel_mean)
            std = torch.tensor(statistics.mel_std)
        elif normalize == "range":
            low, high = mel_range
            mean, std = mean + (low + high) / 2, std * (high - low) / 2
        self.register_buffer("mel_mean", mean[:, None].float())
        self.register_buffer("mel_std", std.float())

    def _normalized(self, mel: Tensor) -> Tensor:
        return (mel - self.mel_mean) / self.mel_std

    def _denormalized(self, x: Tensor) -> Tensor:
        return x * self.mel_std + self.mel_mean
