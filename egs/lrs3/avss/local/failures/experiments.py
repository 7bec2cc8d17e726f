"""The experiments: what each trains and measures. Each function gives one entry of the results."""

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
class Lab:
    """Where data and trained parts lie, and how long a training is.

    Attributes:
        dump: the prepared corpus of stage 2. work: folder for trained parts.
        steps: of a separator's training, two mixtures each; warm: of the lips' warm-up.
        mixtures: of the test list that are scored, kinds of pairs in turn.
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
        """The fixed list of the test set: people and sentences that training has not seen."""
        mixtures = read_list(self.dump / "test" / "lists" / "own.json").mixtures[: self.mixtures]
        loader = Loader.of(self.dump / "test")
        for first in range(0, len(mixtures), 4):
            yield loader.batch(mixtures[first : first + 4])

    def encoder(self, kind: type[LipEncoder] = LipEncoder) -> LipEncoder:
        """The encoder that the warm-up left."""
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
    lab: Lab,
    loader: Loader | None = None,
    lips: nn.Module | None = None,
    fusion: nn.Module | None = None,
    blind: bool = False,
    accumulate: int = 1,
) -> tuple[nn.Module, dict]:
    """A separator trained with at most one fault, and its entry of the results."""
    torch.manual_seed(lab.seed)
    separator = Separator(fusion)
    lips = Frozen(lab.encoder()) if lips is None else lips
    loss = negative_si_sdr(separator, lips, loader or lab.loader(), blind)
    curve = fit(separator, loss, lab.steps, accumulate)
    # what is tested is always in eval mode
    scores = score(separating(separator.eval(), lips.eval(), blind), lab.test())
    return separator, {**scores.rounded(), **curve.to_dict(), "seed": lab.seed}


def lips(lab: Lab) -> dict:
    """The warm-up that all share."""
    torch.manual_seed(lab.seed)
    encoder = LipEncoder()
    curve = warm_up(encoder, lab.loader(), lab.warm)
    torch.save(encoder.state_dict(), lab.work / "lips.pt")
    return {**curve.to_dict(), "seed": lab.seed}


def healthy(lab: Lab) -> dict:
    """The separator without a fault, and two averages of its weights."""
    torch.manual_seed(lab.seed)
    separator, frozen = Separator(), Frozen(lab.encoder())
    options = Average(decay=0.999)
    plain, follow_plain = average(separator, lambda n: 0.999)
    warmed, follow_warmed = average(separator, lambda n: decay_at(n, options))

    def after() -> None:
        follow_plain(), follow_warmed()

    loss = negative_si_sdr(separator, frozen, lab.loader())
    curve = fit(separator, loss, lab.steps, after=after)
    torch.save(separator.state_dict(), lab.work / "healthy.pt")
    named = {"": separator, "average": plain, "warmed average": warmed}
    scores = {n: score(separating(m.eval(), frozen), lab.test()) for n, m in named.items()}
    seen = score(separating(separator, frozen), known(lab.loader()))
    return {
        **scores.pop("").rounded(),
        **curve.to_dict(),
        **{name: s.rounded() for name, s in scores.items()},
        "training people": seen.rounded(),
        "mixture": round(mixture_level(lab.test()), 3),
        "seed": lab.seed,
    }


def known(loader: Loader) -> Iterator[Batch]:
    """Mixtures of the training people, as many as are scored of the test list."""
    for first in range(9):
        yield loader.draw(10_000 + first, 4)


def mixture_level(batches: Iterator[Batch]) -> float:
    """SI-SDR of the mixture itself in dB: what handing it back scores."""
    return torch.cat([si_sdr(b.mixture, b.target) for b in batches]).mean().item()


def desynchronised(lab: Lab) -> dict:
    return trained(lab, lab.loader(DesynchronisedLoader))[1]


@torch.no_grad()
def stft(lab: Lab) -> dict:
    """Clean voices and ideally masked mixtures through the matched and the mismatched chain."""
    entry, begun = {}, time.perf_counter()
    for name, chain in {"matched": STFT(), "mismatched": MismatchedSTFT()}.items():
        clean, gains, right, same = [], [], [], []
        for batch in lab.test():
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
    return {**entry, "seconds": round(time.perf_counter() - begun, 1)}


def _power(spectrum: Tensor) -> Tensor:
    """Uncompressed magnitude squared of a compressed spectrum (exponent 1/2)."""
    return spectrum.square().sum(1, keepdim=True).square()


def _spread(values: Tensor) -> dict[str, float]:
    """Median, and the 5th and 95th percentile."""
    low, middle, high = values.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return {"low": round(low, 2), "median": round(middle, 2), "high": round(high, 2)}


def accumulated(lab: Lab) -> dict:
    """The same mixtures in 24 updates, as many as the attempt made in an epoch."""
    return trained(lab, accumulate=lab.steps // 24)[1]


def few_people(lab: Lab) -> dict:
    """Trained on eight clips of four people; scored on them, too, as the attempt was validated."""
    loader = Loader(few(lab.loader().clips, people=4, each=2))
    separator, entry = trained(lab, loader)
    own = score(separating(separator, Frozen(lab.encoder())), known(loader))
    counts = {"all ": lab.loader().clips, "": loader.clips}
    for name, clips in counts.items():
        entry[f"{name}clips"] = len(clips)
        entry[f"{name}people"] = len({c.entry.speaker for c in clips.values()})
    return {**entry, "training people": own.rounded()}


def coarse_attention(lab: Lab) -> dict:
    return trained(lab, fusion=CoarseAttention())[1]


def placed_attention(lab: Lab) -> dict:
    return trained(lab, fusion=PlacedAttention())[1]


def batch_statistics(lab: Lab) -> dict:
    """Lips in train mode at batch 1; also scored with the fault left in, as the attempt was."""
    lips = CarelesslyFrozen(lab.encoder())
    separator, entry = trained(lab, lips=lips.train())
    left_in = score(separating(separator, CarelesslyFrozen(lab.encoder()).train()), lab.test())
    drift = _drift(lips.encoder, lab.encoder())
    return {**entry, "left in": left_in.rounded(), "drift": round(drift, 3)}


def _drift(encoder: LipEncoder, before: LipEncoder) -> float:
    """By how many of its standard deviations the first norm's running mean has moved."""
    moved = (encoder.front_norm.running_mean - before.front_norm.running_mean).abs()
    return (moved / before.front_norm.running_var.sqrt()).mean().item()


def without_video(lab: Lab) -> dict:
    return trained(lab, blind=True)[1]


def end_to_end(lab: Lab) -> dict:
    """The healthy separator with lips laid end to end, eight clips at a time, and one at a time."""
    separator, joined = lab.healthy(), Frozen(lab.encoder(EndToEndLipEncoder))
    together, alone = (
        score(separating(separator, lips), lab.test()) for lips in (joined, OneByOne(joined))
    )
    return {**together.rounded(), "one at a time": alone.rounded()}


class OneByOne(nn.Module):
    """Lips of each clip for itself, whatever the encoder does to a batch."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, mouth: Tensor) -> Tensor:
        return torch.cat([self.encoder(clip[None]) for clip in mouth])


def ouve(lab: Lab) -> dict:
    return generated(lab, {"name": "ouve"}, {"name": "uniform"}, stochastic=True)


def bridge(lab: Lab) -> dict:
    return generated(
        lab, {"name": "bridge"}, {"name": "uniform", "t_max_share": 0.5}, stochastic=False
    )


def generated(lab: Lab, sde: dict, times: dict, stochastic: bool) -> dict:
    """A generator alone (Approach 1) on one process, and what its estimate follows at each t."""
    torch.manual_seed(lab.seed)
    model, frozen = generator.diffusion(sde, times), Frozen(lab.encoder())
    curve = fit(model, generator.loss(model, frozen, lab.loader()), lab.steps)
    model.eval()
    torch.save(model.state_dict(), lab.work / f"{sde['name']}.pt")
    scores = score(generator.separating(model, frozen, stochastic), lab.test())
    return {
        **scores.rounded(),
        **curve.to_dict(),
        "follows": generator.follows(model, frozen, lab.test()),
        "distance": generator.distances(model.sde, lab.test()),
        "seed": lab.seed,
    }


EXPERIMENTS: dict[str, Callable[[Lab], dict]] = {
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
