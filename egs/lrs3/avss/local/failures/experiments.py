"""The experiments: each function trains and measures one case and returns an entry of the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from failures import generator
from failures.batches import Batch, Loader, few
from failures.faults import (
    CarelesslyFrozen,
    CoarseAttention,
    DesynchronisedLoader,
    EndToEndLipEncoder,
    Frozen,
    MismatchedSTFT,
)
from failures.measures import score
from failures.network import LipEncoder, PlacedAttention, Separator
from failures.training import average, fit, lips_of, negative_si_sdr, warm_up
from voicediff.audio.stft import STFT
from voicediff.data.separation.mixtures import read_list
from voicediff.diagnostics.detectors import si_sdr
from voicediff.training.average import decay_at
from voicediff.training.options import Average


@dataclass
class Setup:
    """Data, folder for trained parts, and length of the trainings.

    Attributes:
        dump: the prepared corpus of stage 2. work: folder for trained parts.
        steps: training steps of a separator, two mixtures each; warm: warm-up steps of the lip encoder.
        mixtures: number of scored mixtures of the test list, all kinds of pairs.
    """

    dump: Path
    work: Path
    steps: int = 600
    warm: int = 300
    seed: int = 1
    mixtures: int = 36

    def loader(self, kind: type[Loader] = Loader) -> Loader:
        return kind.of(self.dump / "train")

    def test(self) -> Iterator[Batch]:
        """The fixed list of the test set: people and sentences that are not in the training set."""
        mixtures = read_list(self.dump / "test" / "lists" / "own.json").mixtures[: self.mixtures]
        loader = Loader.of(self.dump / "test")
        for first in range(0, len(mixtures), 4):
            yield loader.batch(mixtures[first : first + 4])

    def encoder(self, kind: type[LipEncoder] = LipEncoder) -> LipEncoder:
        """The encoder after the warm-up."""
        encoder = kind()
        encoder.load_state_dict(torch.load(self.work / "lips.pt"))
        return encoder

    def healthy(self) -> Separator:
        separator = Separator()
        separator.load_state_dict(torch.load(self.work / "healthy.pt"))
        return separator.eval()


def separating(separator: nn.Module, lips: nn.Module, blind: bool = False):
    """The function that is scored."""

    def separate(mixture: Tensor, mouth: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return separator(mixture, lips_of(lips, mouth, blind)).float()

    return separate


def trained(
    setup: Setup,
    loader: Loader | None = None,
    lips: nn.Module | None = None,
    fusion: nn.Module | None = None,
    blind: bool = False,
    accumulate: int = 1,
) -> tuple[nn.Module, dict]:
    """A separator trained with at most one fault, and its entry of the results."""
    torch.manual_seed(setup.seed)
    separator = Separator(fusion)
    lips = Frozen(setup.encoder()) if lips is None else lips
    loss = negative_si_sdr(separator, lips, loader or setup.loader(), blind)
    curve = fit(separator, loss, setup.steps, accumulate)
    # tests always run in eval mode
    scores = score(separating(separator.eval(), lips.eval(), blind), setup.test())
    return separator, {**scores.rounded(), **curve.to_dict(), "seed": setup.seed}


def lips(setup: Setup) -> dict:
    """The common warm-up of the lip encoder."""
    torch.manual_seed(setup.seed)
    encoder = LipEncoder()
    curve = warm_up(encoder, setup.loader(), setup.warm)
    torch.save(encoder.state_dict(), setup.work / "lips.pt")
    return {**curve.to_dict(), "seed": setup.seed}


def healthy(setup: Setup) -> dict:
    """The separator without a fault, and two averages of its weights."""
    torch.manual_seed(setup.seed)
    separator, frozen = Separator(), Frozen(setup.encoder())
    options = Average(decay=0.999)
    plain, follow_plain = average(separator, lambda n: 0.999)
    warmed, follow_warmed = average(separator, lambda n: decay_at(n, options))

    def after() -> None:
        follow_plain(), follow_warmed()

    loss = negative_si_sdr(separator, frozen, setup.loader())
    curve = fit(separator, loss, setup.steps, after=after)
    torch.save(separator.state_dict(), setup.work / "healthy.pt")
    named = {"": separator, "average": plain, "warmed average": warmed}
    scores = {n: score(separating(m.eval(), frozen), setup.test()) for n, m in named.items()}
    on_training = score(separating(separator, frozen), training_mixtures(setup.loader()))
    return {
        **scores.pop("").rounded(),
        **curve.to_dict(),
        **{name: s.rounded() for name, s in scores.items()},
        "training people": on_training.rounded(),
        "mixture": round(mixture_level(setup.test()), 3),
        "seed": setup.seed,
    }


def training_mixtures(loader: Loader) -> Iterator[Batch]:
    """Mixtures of training speakers, as many as of the test list."""
    for first in range(9):
        yield loader.draw(10_000 + first, 4)


def mixture_level(batches: Iterator[Batch]) -> float:
    """SI-SDR of the unprocessed mixture in dB."""
    return torch.cat([si_sdr(b.mixture, b.target) for b in batches]).mean().item()


def desynchronised(setup: Setup) -> dict:
    return trained(setup, setup.loader(DesynchronisedLoader))[1]


@torch.no_grad()
def stft(setup: Setup) -> dict:
    """Clean sources and ideally masked mixtures through the matched and the mismatched chain."""
    entry, started = {}, time.perf_counter()
    for name, chain in {"matched": STFT(), "mismatched": MismatchedSTFT()}.items():
        clean, gains, right, same = [], [], [], []
        for batch in setup.test():
            length = batch.target.shape[-1]
            target, other = chain(batch.target), chain(batch.other)
            clean.append(si_sdr(chain.inverse(target, length), batch.target))
            share = _power(target) / (_power(target) + _power(other) + 1e-8)
            out = chain.inverse(chain(batch.mixture) * share.sqrt(), length)
            after = si_sdr(out, batch.target)
            gains.append(after - si_sdr(batch.mixture, batch.target))
            right.append(after > si_sdr(out, batch.other))
            same.append(batch.same)
        gain, one = torch.cat(gains), torch.cat(same)
        entry[name] = {
            "clean": _spread(torch.cat(clean)),
            "different": round(gain[~one].mean().item(), 3),
            "same": round(gain[one].mean().item(), 3),
            "selection": round(torch.cat(right).float().mean().item(), 3),
        }
    return {**entry, "seconds": round(time.perf_counter() - started, 1)}


def _power(spectrum: Tensor) -> Tensor:
    """Uncompressed magnitude squared of a compressed spectrum (exponent 1/2)."""
    return spectrum.square().sum(1, keepdim=True).square()


def _spread(values: Tensor) -> dict[str, float]:
    """Median, and the 5th and 95th percentile."""
    low, middle, high = values.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return {"low": round(low, 2), "median": round(middle, 2), "high": round(high, 2)}


def accumulated(setup: Setup) -> dict:
    """The same mixtures in 24 updates, the number per epoch of the earlier implementation."""
    return trained(setup, accumulate=setup.steps // 24)[1]


def few_people(setup: Setup) -> dict:
    """Trained on eight clips of four people; also scored on them, as in the earlier implementation."""
    loader = Loader(few(setup.loader().clips, people=4, each=2))
    separator, entry = trained(setup, loader)
    own = score(separating(separator, Frozen(setup.encoder())), training_mixtures(loader))
    counts = {"all ": setup.loader().clips, "": loader.clips}
    for name, clips in counts.items():
        entry[f"{name}clips"] = len(clips)
        entry[f"{name}people"] = len({c.entry.speaker for c in clips.values()})
    return {**entry, "training people": own.rounded()}


def coarse_attention(setup: Setup) -> dict:
    return trained(setup, fusion=CoarseAttention())[1]


def placed_attention(setup: Setup) -> dict:
    return trained(setup, fusion=PlacedAttention())[1]


def batch_statistics(setup: Setup) -> dict:
    """Lip encoder in train mode at batch 1; also scored with the fault, as in the earlier one."""
    lips = CarelesslyFrozen(setup.encoder())
    separator, entry = trained(setup, lips=lips.train())
    left_in = score(separating(separator, CarelesslyFrozen(setup.encoder()).train()), setup.test())
    drift = _drift(lips.encoder, setup.encoder())
    return {**entry, "left in": left_in.rounded(), "drift": round(drift, 3)}


def _drift(encoder: LipEncoder, before: LipEncoder) -> float:
    """Change of the running mean of the first batch norm in its standard deviations."""
    moved = (encoder.front_norm.running_mean - before.front_norm.running_mean).abs()
    return (moved / before.front_norm.running_var.sqrt()).mean().item()


def without_video(setup: Setup) -> dict:
    return trained(setup, blind=True)[1]


def end_to_end(setup: Setup) -> dict:
    """The healthy separator with concatenated mouth clips, in batches of eight and of one."""
    separator, joined = setup.healthy(), Frozen(setup.encoder(EndToEndLipEncoder))
    together, alone = (
        score(separating(separator, lips), setup.test()) for lips in (joined, OneByOne(joined))
    )
    return {**together.rounded(), "one at a time": alone.rounded()}


class OneByOne(nn.Module):
    """Runs the encoder on one clip at a time."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, mouth: Tensor) -> Tensor:
        return torch.cat([self.encoder(clip[None]) for clip in mouth])


def ouve(setup: Setup) -> dict:
    return generated(setup, {"name": "ouve"}, {"name": "uniform"}, stochastic=True)


def bridge(setup: Setup) -> dict:
    return generated(
        setup, {"name": "bridge"}, {"name": "uniform", "t_max_share": 0.5}, stochastic=False
    )


def generated(setup: Setup, sde: dict, times: dict, stochastic: bool) -> dict:
    """A generator alone (Approach 1) on one process, and which speaker its estimate follows at each t."""
    torch.manual_seed(setup.seed)
    model, frozen = generator.diffusion(sde, times), Frozen(setup.encoder())
    curve = fit(model, generator.loss(model, frozen, setup.loader()), setup.steps)
    model.eval()
    torch.save(model.state_dict(), setup.work / f"{sde['name']}.pt")
    scores = score(generator.separating(model, frozen, stochastic), setup.test())
    return {
        **scores.rounded(),
        **curve.to_dict(),
        "follows": generator.follows(model, frozen, setup.test()),
        "distance": generator.distances(model.sde, setup.test()),
        "seed": setup.seed,
    }


EXPERIMENTS: dict[str, Callable[[Setup], dict]] = {
    "stft": stft,
    "lips": lips,
    "healthy": healthy,
    "without video": without_video,
    "desynchronised": desynchronised,
    "coarse attention": coarse_attention,
    "placed attention": placed_attention,
    "accumulated": accumulated,
    "batch statistics": batch_statistics,
    "ouve": ouve,
    "bridge": bridge,
    "few people": few_people,
    "end to end": end_to_end,
}
