"""Charts as PNG: metrics against NFE, loss over t, a pair of clips."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicediff.report.picture import Bar, hz_to_midi, note_name, pitch_range
from voicediff.report.sound import Encoded
from voicediff.report.table import Column

LIGHT = {"ink": "#1d2430", "faint": "#c9ced8", "main": "#2f6fde", "second": "#d9622b"}
DARK = {"ink": "#e4e8f0", "faint": "#3f4757", "main": "#7aa8ff", "second": "#ff9a66"}
KOREAN = "가힣"


@dataclass(frozen=True)
class Chart:
    """One chart for light and for dark pages, both with a transparent background."""

    caption: str
    light: Encoded
    dark: Encoded
    width: int  # CSS pixels


@dataclass(frozen=True)
class Side:
    """One clip of a pair: title, mel (F, T), F0 (T,) in Hz."""

    title: str
    mel: np.ndarray
    f0: np.ndarray


@dataclass(frozen=True)
class Points:
    """A panel of a scatter plot: (cost, quality) by group, over a logarithmic axis of cost."""

    title: str
    groups: Mapping[str, Sequence[tuple[float, float]]]


def scatter(
    panels: Sequence[Points],
    quality: str,
    marks: Sequence[tuple[float, float] | None],
    higher: bool = False,
) -> Encoded:
    """Quality against each cost, side by side; a line joins the Pareto front.

    marks: for each panel, the point to circle. higher: whether higher quality values are better. If
    lower ones are, and all are above 0, the axis is logarithmic.
    """
    figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    shades = matplotlib.colormaps["tab20"].colors
    for axis, panel, mark in zip(axes, panels, marks, strict=True):
        for number, (name, points) in enumerate(panel.groups.items()):
            x, y = zip(*points, strict=True) if points else ((), ())
            axis.plot(x, y, "o", ms=4, color=shades[number % len(shades)], label=name)
        best = front([p for points in panel.groups.values() for p in points], higher)
        if best:
            axis.step(*zip(*best, strict=True), where="post", color=LIGHT["ink"], lw=1.0)
            axis.set_xscale("log")
            ratios = not higher and min(value for _, value in best) > 0
            axis.set_yscale("log" if ratios else "linear")
            for side in (axis.xaxis, axis.yaxis) if ratios else (axis.xaxis,):
                side.set_major_formatter("{x:g}")
                side.set_minor_formatter("{x:g}")
        if mark:
            axis.plot(*mark, "o", ms=12, mfc="none", color=LIGHT["second"], label="recommended")
        axis.set_xlabel(panel.title)
        _styled(axis, LIGHT)
    axes[0].set_ylabel(quality)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    return _png(figure, transparent=False)


def front(points: Sequence[tuple[float, float]], higher: bool = False) -> list[tuple[float, float]]:
    """The Pareto front by rising cost: points that no other point beats in cost and quality."""
    best: list[tuple[float, float]] = []
    sign = -1 if higher else 1
    for cost, value in sorted(points, key=lambda point: (point[0], sign * point[1])):
        if not best or sign * value < sign * best[-1][1]:
            best.append((cost, value))
    return best


def curves(
    columns: Sequence[Column],
    nfe: Sequence[int],
    values: Mapping[str, Sequence[float | None]],
    levels: Mapping[str, Mapping[str, float | None]],
    caption: str,
) -> Chart:
    """Small multiples: each metric against NFE, with levels (e.g. copy synthesis) dashed.

    Args:
        values: by column key, one value per entry of `nfe`.
        levels: by the title of the level, values by column key.
    """

    def draw(colours: Mapping[str, str]) -> Figure:
        wide = min(4, len(columns))
        tall = -(-len(columns) // wide)
        figure = Figure(figsize=(2.6 * wide, 1.9 * tall + 0.3), layout="constrained")
        axes = figure.subplots(tall, wide, squeeze=False).ravel()
        for axis in axes[len(columns) :]:
            axis.set_visible(False)
        for axis, column in zip(axes, columns, strict=False):
            _curve(axis, column, nfe, values[column.key], levels, colours)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8,
            labelcolor=colours["ink"],
        )  # fmt: skip
        return figure

    return _both(draw, caption)


def loss_by_time(
    edges: Sequence[float], losses: Mapping[str, Sequence[float]], caption: str
) -> Chart:
    """Mean training loss in each bin of t; one line for each named part of the training."""

    def draw(colours: Mapping[str, str]) -> Figure:
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        axis = figure.subplots()
        shades = np.linspace(0.35, 1.0, len(losses))
        for shade, (title, heights) in zip(shades, losses.items(), strict=True):
            axis.stairs(heights, edges, label=title, color=colours["main"], alpha=shade, lw=1.6)
        axis.set(xlabel="t (0 data, 1 noise)", ylabel="loss", xlim=(edges[0], edges[-1]))
        if all(np.nanmin(heights) > 0 for heights in losses.values()):
            axis.set_yscale("log")
        _styled(axis, colours)
        axis.legend(frameon=False, fontsize=8, labelcolor=colours["ink"])
        return figure

    return _both(draw, caption)


def pair(
    left: Side,
    right: Side,
    bars: Sequence[Bar],
    frame_rate: float,
    title: str,
    romanised: Mapping[str, str],
) -> Encoded:
    """Left the recording, right generated; spectrogram above, F0 over the notes below.

    `romanised`: Latin spelling of syllables, for machines without a Korean font.
    """
    korean = korean_font()
    family = ["DejaVu Sans", korean] if korean else ["DejaVu Sans"]
    with matplotlib.rc_context({"font.family": family}):
        figure = Figure(figsize=(12, 5), layout="constrained", facecolor="white")
        rows = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(1, 1))
        low, high = np.percentile(left.mel, 2), left.mel.max()
        span = pitch_range(bars, left.f0)
        for column, side in enumerate((left, right)):
            seconds = side.mel.shape[1] / frame_rate
            extent = (0, seconds, 0, side.mel.shape[0])
            rows[0][column].imshow(
                side.mel, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high,
                cmap="magma",
            )  # fmt: skip
            rows[0][column].set_title(side.title, fontsize=11)
            _roll(rows[1][column], bars, side.f0, frame_rate, span, bool(korean), romanised)
            rows[1][column].set_xlabel("seconds")
        rows[0][0].set_ylabel("mel bin")
        rows[1][0].set_ylim(*span)
        _note_ticks(rows[1][0])
        figure.suptitle(title if korean or title.isascii() else "", fontsize=13)
        return _png(figure, transparent=False)


def korean_font() -> str | None:
    """Name of an installed font with Hangul, sans serif preferred; None without any."""
    words = ("Gothic", "Sans CJK", "Sans KR", "CJK", "Nanum", "Batang", "Gulim", "UnDotum")
    entries = [e for e in font_manager.fontManager.ttflist if any(w in e.name for w in words)]
    rank = {word: place for place, word in enumerate(words)}
    for entry in sorted(
        entries, key=lambda e: (min(rank[w] for w in words if w in e.name), e.name)
    ):
        glyphs = font_manager.get_font(entry.fname).get_charmap()
        if all(ord(letter) in glyphs for letter in KOREAN):
            return entry.name
    return None


def _roll(
    axis: Axes,
    bars: Sequence[Bar],
    f0: np.ndarray,
    frame_rate: float,
    span: tuple[float, float],
    korean: bool,
    romanised: Mapping[str, str],
) -> None:
    for bar in bars:
        axis.barh(
            bar.pitch, bar.end - bar.start, left=bar.start, height=1.0, color="#c3d6f7",
            edgecolor="#7b9bd6", lw=0.6,
        )  # fmt: skip
        text = bar.text if korean else romanised.get(bar.text, bar.text)
        axis.text(bar.start, bar.pitch + 1.3, text, fontsize=9, clip_on=True)
    times = (np.arange(len(f0)) + 0.5) / frame_rate
    shown = np.clip(hz_to_midi(f0), *span)  # values outside the range are drawn at its border
    axis.plot(times, shown, color=LIGHT["second"], lw=1.4)
    axis.grid(axis="y", color="#e4e7ee", lw=0.6)
    axis.set_axisbelow(True)


def _note_ticks(axis: Axes) -> None:
    low, high = axis.get_ylim()
    pitches = [p for p in range(int(low) + 1, int(high) + 1) if p % 12 in (0, 4, 7)]
    axis.set_yticks(pitches, [note_name(p) for p in pitches])


def _curve(
    axis: Axes,
    column: Column,
    nfe: Sequence[int],
    values: Sequence[float | None],
    levels: Mapping[str, Mapping[str, float | None]],
    colours: Mapping[str, str],
) -> None:
    """One metric; equal distances, because NFE is chosen in nearly geometric steps."""
    shown = [np.nan if v is None else v * column.scale for v in values]
    places = np.arange(len(nfe))
    axis.plot(places, shown, "o-", color=colours["main"], lw=1.6, ms=4, label="generated")
    for style, (title, level) in zip(("--", ":"), levels.items(), strict=False):
        value = level.get(column.key)
        if value is not None and np.isfinite(value):
            axis.axhline(
                value * column.scale, ls=style, lw=1.2, color=colours["second"], label=title
            )
    unit = f" ({column.unit})" if column.unit else ""
    axis.set_title(f"{column.title}{unit} {column.arrow}", fontsize=8.5, color=colours["ink"])
    axis.set_xticks(places, [str(n) for n in nfe])
    _styled(axis, colours)


def _styled(axis: Axes, colours: Mapping[str, str]) -> None:
    axis.tick_params(which="both", labelsize=8, colors=colours["ink"], length=2)
    axis.xaxis.label.set(color=colours["ink"], size=8.5)
    axis.yaxis.label.set(color=colours["ink"], size=8.5)
    axis.set_facecolor("none")
    axis.grid(color=colours["faint"], lw=0.5, alpha=0.6)
    for name, spine in axis.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(colours["faint"])


def _both(draw: Callable[[Mapping[str, str]], Figure], caption: str) -> Chart:
    figure = draw(LIGHT)
    width = round(96 * figure.get_figwidth())
    return Chart(caption, _png(figure), _png(draw(DARK)), width)


def _png(figure: Figure, transparent: bool = True) -> Encoded:
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(
        file, format="png", dpi=130, transparent=transparent, metadata={"Software": None}
    )
    return Encoded(file.getvalue(), "image/png")
