"""Training of vocoders: sound back from its own mel, or from the mels that an acoustic model makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from voicediff.audio import MelSpec
from voicediff.data.singing.features import read_mel_spec
from voicediff.data.singing.waveforms import SoundDataset, Variation
from voicediff.diffusion.noise import SeededNoise
from voicediff.metrics import Item, score_row, singing_metrics
from voicediff.registry import Spec, build, read_options, register
from voicediff.tasks.base import Batch, Losses, Preview, Task
from voicediff.tasks.pictures import stacked
from voicediff.vocoders.losses import (
    RESOLUTIONS,
    DiscriminatorOutput,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    mel_loss,
    spectral_loss,
)

RULERS = ("mcd", "multi_stft", "periodicity_error", "vuv_error")


@register("task", "vocoder")
class Vocoding(Task):
    """A vocoder and its critics: spectral losses first, adversarial ones where time allows.

    Optimisation targets: `spectral` trains the vocoder on the multi-resolution STFT and mel losses alone;
    `generator` adds what the discriminators say, `discriminator` trains these. A phase with the
    targets [discriminator, generator] is adversarial training. The phase's `data` takes the options
    of `Variation`; with `mels` it fine-tunes on what an acoustic model makes.

    Args:
        vocoder: what is trained.
        mel: the mel description, handed to the vocoder.
        discriminators: critics by any name; none for spectral training alone.
        resolutions: samples of the windows of the STFT loss.
        spectral_weight, mel_weight, adversarial_weight, feature_weight: of the losses.
        assets: folder with the mel settings of the features (given).
    """

    best = "multi_stft"
    targets: ClassVar = {
        "spectral": ("vocoder.",),
        "generator": ("vocoder.",),
        "discriminator": ("discriminators.",),
    }

    def __init__(
        self,
        vocoder: Spec = {"name": "vocos_source"},  # noqa: B006
        mel: MelSpec = MelSpec(),
        discriminators: dict[str, Spec] = {},  # noqa: B006
        resolutions: tuple[int, ...] = RESOLUTIONS,
        spectral_weight: float = 1.0,
        mel_weight: float = 2.0,
        adversarial_weight: float = 1.0,
        feature_weight: float = 2.0,
        assets: Path | None = None,
    ):
        super().__init__()
        if assets is not None:
            read_mel_spec(assets).require(mel, f"{assets}/mel.yaml", "the configuration (task.mel)")
        self.mel, self.resolutions = mel, resolutions
        self.spectral_weight, self.mel_weight = spectral_weight, mel_weight
        self.adversarial_weight, self.feature_weight = adversarial_weight, feature_weight
        self.vocoder = build("vocoder", vocoder, spec=mel)
        self.discriminators = nn.ModuleDict(
            {name: build("discriminator", spec) for name, spec in discriminators.items()}
        )

    # -- data -----------------------------------------------------------------------------------

    def dataset(self, folder: Path, training: bool, options: dict[str, Any]) -> SoundDataset:
        """In validation stretches are as they were sung."""
        variation = read_options(Variation, options, "data")
        if not training:
            variation = Variation(crop=variation.crop)
        return SoundDataset(folder, self.mel, variation)

    @staticmethod
    def collate(items: list[dict], seeds: list[int]) -> Batch:
        stacked = {
            name: torch.stack([torch.from_numpy(item[name]) for item in items])
            for name in ("wav", "mel", "f0")
        }
        return {"utts": [item["utt"] for item in items], "seeds": seeds, **stacked}

    def count(self, batch: Batch) -> int:
        return batch["f0"].numel()

    # -- training -------------------------------------------------------------------------------

    def forward(self, batch: Batch, target: str) -> Losses:
        natural = batch["wav"]
        if target == "discriminator":
            with torch.no_grad():
                made = self.make(batch)
            terms = {"critic": discriminator_loss(self._verdict(natural), self._verdict(made))}
            return self._losses(terms, {"critic": 1.0}, batch)
        made = self.make(batch)
        with torch.autocast(made.device.type, enabled=False):
            terms = {
                "spectral": spectral_loss(made, natural, self.resolutions),
                "mel": mel_loss(made, natural, self.mel),
            }
        weights = {"spectral": self.spectral_weight, "mel": self.mel_weight}
        if target == "generator":
            of_made = self._verdict(made)
            with torch.no_grad():
                of_natural = self._verdict(natural)
            terms |= {
                "fooling": adversarial_loss(of_made),
                "feature": feature_loss(of_natural, of_made),
            }
            weights |= {"fooling": self.adversarial_weight, "feature": self.feature_weight}
        return self._losses(terms, weights, batch)

    def make(self, batch: Batch) -> Tensor:
        """Sound (B, N) of the batch's mels and F0, single precision."""
        return self.vocoder(batch["mel"], batch["f0"], SeededNoise(batch["seeds"])).float()

    def _verdict(self, wav: Tensor) -> DiscriminatorOutput:
        return [side for critic in self.discriminators.values() for side in critic(wav)]

    def _losses(self, terms: dict[str, Tensor], weights: dict[str, float], batch: Batch) -> Losses:
        """From means of items (B,) to sums over frames."""
        by_item = sum(weights[name] * term for name, term in terms.items())
        frames = batch["f0"].shape[1]
        sums = {name: frames * term.detach().sum() for name, term in terms.items()}
        return Losses(frames * by_item.sum(), sums, by_item=by_item.detach())

    # -- what validation shows --------------------------------------------------------------------

    def preview(self, batches: list[Batch], sampler: Any, pictures: int) -> Preview:
        """Copy synthesis of the stretches; no sampler is used."""
        shown = Preview(sample_rate=self.mel.sample_rate)
        natural, made = [], []
        for batch in batches:
            sounds = self.make(batch).cpu().numpy()
            for utt, wav, sound in zip(batch["utts"], batch["wav"], sounds, strict=True):
                natural.append(Item(wav=wav.float().cpu().numpy()).prepared(self.mel))
                made.append(Item(wav=sound).prepared(self.mel))
                if len(shown.pictures) < pictures:
                    shown.pictures[utt] = stacked([natural[-1].wav_mel, made[-1].wav_mel])
                    shown.sounds[utt] = sound
        shown.scalars = score_row(natural, made, self.mel, singing_metrics(RULERS))
        return shown
