"""Singing voice synthesis from a score: Grad-TTS without its duration predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from voicediff.audio import MelSpec, mel_filters
from voicediff.data.singing.dataset import (
    AlignedScore,
    ScoreInputs,
    SingingDataset,
    align_score,
    collate_scores,
    pad_frames,
)
from voicediff.data.singing.features import Statistics, read_mel_spec, read_statistics
from voicediff.diffusion.distillation import DISTILLING, Distillation, DistillationOptions
from voicediff.diffusion.noise import Noise, SeededNoise
from voicediff.diffusion.samplers import Callback, Sampler
from voicediff.encoders.contour import Harmonics, contour_f0, midi_to_hz
from voicediff.music.score import Score
from voicediff.music.timing import Timing
from voicediff.networks.conditions import Conditions
from voicediff.registry import Spec, build, register
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.tasks.svs import losses
from voicediff.tasks.svs.inference import Kept, Sampling, Song, known_region, with_known
from voicediff.tasks.svs.parts import (
    ContourLayers,
    DecoderCondition,
    FrameLayers,
    Normalization,
    condition_sizes,
    contour_of,
    diffusion_of,
    normalization_of,
    score_encoder_of,
)
from voicediff.tasks.svs.preview import preview


@register("task", "svs")
class SingingSynthesis(Task):
    """Singing from notes and syllables: encoders predict mu, a diffusion model around mu the mel.

    Args:
        encoders: `text` and `pitch`, both on phones.
        decoder, sde, objective: the diffusion part.
        tokenizer: makes the text encoder's input from the lyrics.
        mel: the mel description; features and vocoder must have the same (checked by its hash).
        timing: division of a syllable's frames among its phones.
        frames: the convolutions from expanded encoder states to mu.
        contour: the pitch-contour head; with null F0 is the written melody.
        decoder_conditions: conditions of the decoder besides x and mu: `states` are the output of
            the convolutions, `text` and `pitch` the output of one encoder each (so that guidance
            can drop one), `harmonics` the partials of the F0 contour (in training: of the
            recording's F0) as a map over mel bins.
        normalize: `none` uses the log-mel itself (Grad-TTS); `bins` subtracts the mean of each bin
            and divides by one standard deviation; `range` maps `mel_range` to -1 ... 1 (DiffSinger).
        mel_range: lowest and highest natural-log mel of `normalize: range`.
        diffusion: options of `Diffusion` (distribution of t, conditions to drop ...).
        dropout_in_mu: keep the encoders' dropout active while only the decoder trains, so that
            x0 - mu is as large as on songs outside of the training data.
        noise_scale: standard deviation of the initial noise in `generate` (Grad-TTS' temperature).
        shallow: t at which `generate` starts, from mu noised to it (DiffSinger's K / N); null starts
            at t_max from the prior of the process.
        guidance: scale of classifier-free guidance by condition, e.g. `{text: 0.5}`; each condition
            must be in `diffusion.drop`. 0 means no guidance.
        distillation: how the model is distilled from a trained one (`--init-from`) with the targets
            `consistency` and `reflow`; null for all other trainings.
        assets: folder with token list, statistics and mel settings (set by the program).
    """

    best, set_by_begin = "frechet", ("distillation.",)
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
        decoder_conditions: list[DecoderCondition] = [],  # noqa: B006
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
        self.decoder_conditions = decoder_conditions
        self.contour_weight = contour.weight if contour else 0.0
        self.tokenizer = build("tokenizer", tokenizer)
        statistics = self._statistics(assets)
        self.pitch_range = statistics.pitch_range
        normalization = normalization_of(normalize, statistics, mel_range, mel.n_mels)
        self.register_buffer("mel_mean", normalization.mean)
        self.register_buffer("mel_std", normalization.std)
        symbols = len(self.tokenizer.symbols)
        self.prior = score_encoder_of(encoders, frames, symbols, mel.n_mels)
        self.contour = contour_of(contour, self.prior.dim)
        self.harmonics = None
        if frames.harmonics or "harmonics" in decoder_conditions:
            self.harmonics = Harmonics(mel_filters(mel), mel.sample_rate, mel.win)
        sizes = condition_sizes(decoder_conditions, self.prior)
        self.diffusion = diffusion_of(decoder, sde, objective, diffusion, mel, sizes)
        self.diffusion.require_sampling(shallow, guidance)
        self.distillation = Distillation(self.diffusion, distillation) if distillation else None
        if distillation is None:
            self.targets = {name: p for name, p in self.targets.items() if name not in DISTILLING}

    def _statistics(self, assets: Path | None) -> Statistics:
        """The statistics of the assets folder, whose token list is loaded; without one neutral ones."""
        if assets is None:
            return Statistics.neutral(self.mel.n_mels)
        self.tokenizer.load(assets)
        spec = read_mel_spec(assets)
        spec.require(self.mel, f"{assets}/mel.yaml", "the configuration (task.mel)")
        return read_statistics(assets)

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
        """A batch of scores as model input; the number of frames follows from each score's duration."""
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
        score, x0 = batch["score"], self.normalization(batch["mel"]) * batch["score"].mask[:, None]
        if target == "encoder":
            return self._encoder_loss(x0, *self.mean(score), batch)
        if target == "joint":
            mean = self.mean(score)
            of_encoder = self._encoder_loss(x0, *mean, batch)
            return losses.added(self._diffusion_loss(x0, *mean, batch, target), of_encoder)
        self.prior.train(self.training and self.dropout_in_mu)
        with torch.no_grad():
            mean = self.mean(score)
        return self._diffusion_loss(x0, *mean, batch, target)

    def begin(self, source: Path | None) -> None:
        if self.distillation is not None:
            self.distillation.begin(self.diffusion, source)

    def _encoder_loss(self, x0: Tensor, mu: Tensor, states: Tensor, batch: Batch) -> Losses:
        score = batch["score"]
        found = losses.prior_loss(x0, mu, score.mask)
        if self.contour is None:
            return found
        predicted = self.contour(states, score.mask)
        contour = losses.contour_loss(predicted, score, batch["f0"], self.contour_weight)
        return losses.added(found, contour)

    def _diffusion_loss(
        self, x0: Tensor, mu: Tensor, states: Tensor, batch: Batch, target: str
    ) -> Losses:
        score, noise = batch["score"], SeededNoise(batch["seeds"])
        x0, mu, cond = x0[:, None], mu[:, None], self.conditions(score, states, batch["f0"])
        if target not in DISTILLING:
            return losses.diffusion_loss(self.diffusion.loss(x0, mu, cond, score.mask, noise))
        given = (x0, mu, cond, score.mask, noise, self.noise_scale, self.shallow)
        return losses.diffusion_loss(self.distillation.loss(target, self.diffusion, *given))

    # -- inference ------------------------------------------------------------------------------

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
        callback: Callback | None = None,
        f0: Tensor | None = None,
    ) -> Song:
        """Sing a batch of aligned scores; without a sampler the mel is mu (NFE 0).

        noise_scale, guidance, shallow: None takes the values of the configuration.
        kept: frames that are given; the others are generated to fit them (inpainting).
        f0: (B, T) in Hz, e.g. of a recording; None uses the predicted contour.
        """
        mu, states = self.mean(score)
        f0 = self.predicted_f0(states, score) if f0 is None else f0
        known = known_region(kept, self.normalization)
        if sampler is None:
            x = with_known(mu, known)
        else:
            sampling = Sampling(
                sampler,
                noise,
                self.noise_scale if noise_scale is None else noise_scale,
                self.guidance if guidance is None else guidance,
                self.shallow if shallow is None else shallow,
                callback,
            )
            cond = self.conditions(score, states, f0)
            x = sampling.mel(self.diffusion, mu, cond, score.mask, known)
        mel = self.normalization.inverse(x).clamp(min=float(np.log(self.mel.floor)))
        return Song(mel, f0, score.mask)

    def preview(self, batches: list[Batch], sampler: Sampler, pictures: int) -> Preview:
        """Metrics of mels sampled with `sampler` and of mu, pictures and sounds."""

        def sing(batch: Batch, sampler: Sampler | None = sampler) -> Song:
            return self.generate(batch["score"], sampler, SeededNoise(batch["seeds"]))

        return preview(batches, lambda batch: sing(batch, None), sing, self.mel, pictures)

    # -- parts of the model ---------------------------------------------------------------------

    @property
    def normalization(self) -> Normalization:
        return Normalization(self.mel_mean, self.mel_std)

    def mean(self, score: ScoreInputs) -> tuple[Tensor, Tensor]:
        """mu (B, F, T) in the units of the model and the encoders' states (B, T, D)."""
        comb = None
        if self.prior.harmonics:
            comb = self.harmonics(midi_to_hz(score.melody) * score.mask)
        return self.prior(score, comb)

    def predicted_f0(self, states: Tensor, score: ScoreInputs) -> Tensor:
        """F0 in Hz (B, T), 0 where unvoiced: the predicted contour, else the written melody."""
        if self.contour is None:
            return midi_to_hz(score.melody) * score.mask
        return contour_f0(*self.contour(states, score.mask), score.melody, score.mask)

    def conditions(self, score: ScoreInputs, states: Tensor, f0: Tensor) -> Conditions:
        """The decoder's conditions besides mu; f0 (B, T) in Hz."""
        cond, wanted = Conditions(), set(self.decoder_conditions)
        if "states" in wanted:
            cond.frames["states"] = states
        if {"text", "pitch"} & wanted:
            symbols = dict(zip(("text", "pitch"), self.prior.symbols(score), strict=True))
            cond.frames |= {name: x for name, x in symbols.items() if name in wanted}
        if "harmonics" in wanted:
            cond.maps["harmonics"] = self.harmonics(f0)[:, None]
        return cond
