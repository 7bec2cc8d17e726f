"""The figures of docs/history_of_failure.md: left the mechanism of a fault, right its effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch

from failures.faults import DesynchronisedLoader, EndToEndLipEncoder
from failures.network import LipEncoder
from failures.table import entry, overall
from voicediff.diagnostics.detectors import start_left
from voicediff.training.average import decay_at
from voicediff.training.options import Average

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BLUE, RED, GREY = "#2c6fbb", "#c23b22", "#5a5a5a"


def draw(results: dict, out: Path) -> None:
    """All figures whose results are available."""
    for name, (needed, why, bars) in FIGURES.items():
        if not all(n.partition("/")[0] in results for n in (*needed, *bars.values())):
            print(f"no figure {name}: not all of {', '.join(needed)} have been measured")
            continue
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.9), width_ratios=(3, 2))
        why(left, results)
        costs(right, {label: entry(results, place) for label, place in bars.items()})
        figure.tight_layout()
        figure.savefig(out / f"{name}.png", dpi=80)
        plt.close(figure)


def costs(axis: plt.Axes, bars: dict[str, dict]) -> None:
    """SI-SDRi for different speakers and for the same speaker, with the fault and corrected."""
    places = np.arange(len(bars))
    for shift, name, colour in ((-0.2, "different", BLUE), (0.2, "same", RED)):
        values = [scores[name] for scores in bars.values()]
        drawn = axis.bar(
            places + shift,
            values,
            0.38,
            color=colour,
            label=f"{name} speaker" + "s" * (name == "different"),
        )
        axis.bar_label(drawn, fmt="%.1f", fontsize=7, padding=1)
    axis.axhline(0, color=GREY, lw=0.8)
    axis.set_xticks(places, bars, fontsize=8)
    axis.set_ylabel("SI-SDRi, dB")
    axis.margins(y=0.15)
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
    axis.legend(fontsize=7, **above)


def steps_of_seconds(axis: plt.Axes, results: dict) -> None:
    samples = np.arange(0, 5 * 16000, 64)
    late = [DesynchronisedLoader.video_start(None, int(s)) / 25 for s in samples]
    exact = samples // 640 / 25
    axis.plot(samples / 16000, samples / 16000 - late, color=RED, label="start // 16000 * 25")
    axis.plot(samples / 16000, samples / 16000 - exact, color=BLUE, label="start // 640")
    axis.set(xlabel="start of the crop, s", ylabel="video early by, s")
    axis.legend(fontsize=7, loc="center right")


def ages(axis: plt.Axes, results: dict) -> None:
    updates = np.unique(np.geomspace(1, 5000, 60).astype(int))
    for label, decay, colour in (
        ("decay 0.999", lambda n: 0.999, RED),
        ("decay 0.999, warm-up", lambda n: decay_at(n, Average()), BLUE),
    ):
        axis.semilogx(
            updates, [100 * start_left(decay, n) for n in updates], color=colour, label=label
        )
    axis.axvline(24, color=GREY, ls=":", lw=0.9)
    axis.text(25, 50, "24 updates", fontsize=7, color=GREY)
    axis.set(xlabel="updates", ylabel="initial weights in the average, %")
    axis.legend(fontsize=7)


def training_and_other_speakers(axis: plt.Axes, results: dict) -> None:
    few = results["few people"]
    for scores, colour, label in (
        (few, RED, f"{few['clips']} clips of {few['people']}"),
        (results["healthy"], BLUE, f"{few['all clips']} clips of {few['all people']}"),
    ):
        values = [overall(scores["training people"]), overall(scores)]
        axis.plot([0, 1], values, "o-", color=colour, label=label)
    axis.set_xticks([0, 1], ["training speakers", "other speakers"])
    axis.set(ylabel="SI-SDRi, dB", xlim=(-0.3, 1.3))
    axis.legend(fontsize=7)


def order(axis: plt.Axes, results: dict) -> None:
    names = {"no positions": "coarse attention", "positions": "placed attention", "FiLM": "healthy"}
    straight = [overall(results[n]) for n in names.values()]
    shuffled = [results[n]["shuffled"] for n in names.values()]
    places = np.arange(len(names))
    axis.bar(places - 0.2, straight, 0.38, color=BLUE, label="frames in order")
    axis.bar(places + 0.2, shuffled, 0.38, color=GREY, label="frames shuffled")
    axis.axhline(0, color=GREY, lw=0.8)
    axis.set_xticks(places, names)
    axis.set_ylabel("SI-SDRi, dB")
    axis.legend(fontsize=7)


def train_mode_outputs(axis: plt.Axes, results: dict) -> None:
    """A lip feature of one clip, in eval mode and in three passes in train mode (random weights)."""
    torch.manual_seed(0)
    encoder, clip = LipEncoder(), moving_mouth()
    with torch.no_grad():
        steady = encoder.eval()(clip)[0]
        channel = steady.std(0).argmax()
        encoder.train()
        for i in range(3):
            axis.plot(encoder(clip)[0, :, channel], color=RED, lw=0.9, alpha=0.6,
                      label="train mode, three passes" if i == 0 else None)  # fmt: skip
    axis.plot(steady[:, channel], color=BLUE, label="eval mode")
    axis.set(xlabel="frame of video", ylabel="one lip feature")
    axis.legend(fontsize=7)


def moving_mouth(frames: int = 51) -> torch.Tensor:
    """A dark ellipse that opens and closes, (1, T, 96, 96) uint8."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    opening = 4 + 10 * (1 - torch.cos(torch.arange(frames) * 0.7))[:, None, None] / 2
    inside = ((x - 48) / 24).square() + ((y - 48) / opening).square() < 1
    return torch.where(inside, 40, 150).to(torch.uint8)[None]


def curves(axis: plt.Axes, results: dict) -> None:
    for name, colour, label in (
        ("without video", RED, "no video"),
        ("healthy", BLUE, "with video"),
    ):
        curve = results[name]
        steps = (np.arange(len(curve["losses"])) + 0.5) * curve["every"]
        axis.plot(steps, curve["losses"], color=colour, label=label)
    axis.axhline(-results["healthy"]["mixture"], color=GREY, ls=":", label="unprocessed mixture")
    axis.set(xlabel="steps", ylabel="loss, -SI-SDR in dB")
    axis.legend(fontsize=7)


def followed_speaker(axis: plt.Axes, results: dict) -> None:
    for name, colour in (("ouve", RED), ("bridge", BLUE)):
        followed = results[name]["follows"]
        axis.plot(followed["t"], 100 * np.array(followed["video"]), "o-", ms=3, color=colour,
                  label=f"{name}: follows the face")  # fmt: skip
    axis.axhline(50, color=GREY, ls=":", lw=0.8)
    axis.set(xlabel="t (sampling starts at the right)", ylabel="estimates, %", ylim=(-5, 105))
    axis.legend(fontsize=7)


@torch.no_grad()
def neighbours(axis: plt.Axes, results: dict) -> None:
    """Change of each frame's lip features when the *next* clip of the batch changes."""
    clip = moving_mouth()
    for kind, colour, label in (
        (EndToEndLipEncoder, RED, "concatenated"),
        (LipEncoder, BLUE, "independent"),
    ):
        torch.manual_seed(0)
        encoder = kind().eval()
        before = encoder(torch.cat([clip, clip]))[0]
        after = encoder(torch.cat([clip, 255 - clip]))[0]
        change = (after - before).norm(dim=1) / before.norm(dim=1)
        axis.plot(100 * change, color=colour, label=label)
    axis.set(xlabel="frame of the first clip", ylabel="change, %")
    axis.legend(fontsize=7)


def chains(axis: plt.Axes, results: dict) -> None:
    for place, (name, colour) in enumerate((("mismatched", RED), ("matched", BLUE))):
        spread = results["stft"][name]["clean"]
        axis.plot([spread["low"], spread["high"]], [place, place], color=colour, lw=6)
        axis.plot(spread["median"], place, "k|", ms=14)
        axis.text(
            spread["median"], place + 0.18, f"{spread['median']:.0f} dB", ha="center", fontsize=8
        )
    axis.axvline(60, color=GREY, ls=":", lw=0.9)
    axis.set_yticks([0, 1], ["512 / 160 to\n510 / 128", "510 / 128"])
    axis.set(xlabel="SI-SDR of clean sources through the chain, dB", ylim=(-0.5, 1.6))


Drawing = Callable[[plt.Axes, dict], None]
#: figure -> (results its left panel needs, left panel, bars of the right panel)
FIGURES: dict[str, tuple[tuple[str, ...], Drawing, dict[str, str]]] = {
    "synchrony": ((), steps_of_seconds, {"fault": "desynchronised", "corrected": "healthy"}),
    "transforms": (
        ("stft",),
        chains,
        {"ideal mask,\nmismatched": "stft/mismatched", "ideal mask,\nmatched": "stft/matched"},
    ),
    "updates": (
        (),
        ages,
        {
            "24 updates": "accumulated",
            "EMA 0.999": "healthy/average",
            "warm-up": "healthy/warmed average",
            "weights": "healthy",
        },
    ),
    "people": (
        ("few people",),
        training_and_other_speakers,
        {"4 people": "few people", "all": "healthy"},
    ),
    "attention": (
        ("coarse attention", "placed attention"),
        order,
        {"no positions": "coarse attention", "positions": "placed attention", "FiLM": "healthy"},
    ),
    "frozen": (
        (),
        train_mode_outputs,
        {
            "fault": "batch statistics",
            "tested so": "batch statistics/left in",
            "corrected": "healthy",
        },
    ),
    "plateau": (("without video",), curves, {"no video": "without video", "video": "healthy"}),
    "identity": (("ouve", "bridge"), followed_speaker, {"ouve": "ouve", "bridge": "bridge"}),
    "neighbours": (
        (),
        neighbours,
        {"fault": "end to end", "batch of one": "end to end/one at a time", "corrected": "healthy"},
    ),
}
