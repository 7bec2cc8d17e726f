"""A clip as one SVG picture: lanes above each other on one time axis.

Lanes are a spectrogram and a piano roll (F0 over the notes, with syllables). The browser draws the
text, so no Korean font is needed here. Colours are CSS classes of the page, light or dark.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import matplotlib
import numpy as np
from PIL import Image

from voicediff.report.sound import Encoded

WIDTH, LEFT, RIGHT = 640.0, 34.0, 6.0  # drawing units; LEFT holds the labels of an axis
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class Bar:
    """A note: seconds, MIDI number and syllable."""

    start: float
    end: float
    pitch: int
    text: str = ""


@dataclass
class Picture:
    """Lanes of one clip of `seconds`; `label` describes it to a screen reader."""

    seconds: float
    label: str
    height: float = 0.0
    parts: list[str] = field(default_factory=list)

    def spectrogram(
        self,
        image: Encoded,
        ticks: Sequence[tuple[float, str]],
        height: float = 150.0,
    ) -> Picture:
        """A spectrogram over the whole width; ticks: (share of the height from below, text)."""
        top, width = self.height, WIDTH - LEFT - RIGHT
        self.parts.append(
            f'<image x="{LEFT:g}" y="{top:g}" width="{width:g}" height="{height:g}" '
            f'preserveAspectRatio="none" href="{image.uri}"/>'
        )
        for share, text in ticks:
            y = top + height * (1 - share)
            self.parts.append(_label(y, text))
        self.height += height + 8
        return self

    def roll(
        self,
        bars: Sequence[Bar],
        f0: np.ndarray,
        frame_rate: float,
        height: float = 150.0,
        range_of: np.ndarray | None = None,
    ) -> Picture:
        """F0 (T,) in Hz, 0 unvoiced, over the notes. `range_of`: another F0 that sets the range."""
        low, high = pitch_range(bars, f0 if range_of is None else range_of)
        scale = _Scale(low, high, self.height, height)
        self.parts.append(
            f'<rect class="lane" x="{LEFT:g}" y="{self.height:g}" '
            f'width="{WIDTH - LEFT - RIGHT:g}" height="{height:g}"/>'
        )
        for pitch in _gridlines(low, high):
            y = scale.y(pitch)
            self.parts.append(
                f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.parts.append(_label(y, note_name(pitch)))
        self.parts += [self._bar(bar, scale) for bar in bars]
        self.parts += [f'<path class="f0" d="{d}"/>' for d in self._paths(f0, frame_rate, scale)]
        self.parts += [self._syllable(bar, scale) for bar in bars if bar.text]
        self.height += height + 4
        return self

    def svg(self) -> str:
        """The picture with a time axis below."""
        axis = self.height + 10
        times = [
            f'<text class="tick" text-anchor="middle" x="{self._x(second):.1f}" y="{axis:g}">'
            f"{second:g}{' s' if second == 0 else ''}</text>"
            for second in _seconds(self.seconds)
        ]
        end = self.height - 4
        now = f'<line class="now" x1="{LEFT:g}" x2="{LEFT:g}" y1="0" y2="{end:g}"/>'
        return (
            f'<svg viewBox="0 0 {WIDTH:g} {axis + 6:g}" role="img" aria-label="{escape(self.label)}"'
            f' data-left="{LEFT:g}" data-span="{WIDTH - LEFT - RIGHT:g}">'
            + "".join((*self.parts, *times, now))
            + "</svg>"
        )

    def _x(self, second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(second / self.seconds, 0.0), 1.0)

    def _bar(self, bar: Bar, scale: _Scale) -> str:
        start, end = self._x(bar.start), self._x(bar.end)
        return (
            f'<rect class="note" x="{start:.1f}" y="{scale.y(bar.pitch + 0.5):.1f}" rx="1.5" '
            f'width="{max(end - start - 0.6, 0.6):.1f}" height="{scale.step:.1f}"/>'
        )

    def _syllable(self, bar: Bar, scale: _Scale) -> str:
        """Above the note and its vibrato, or below if there is no space above."""
        above, below = scale.y(bar.pitch + 1.5) - 3, scale.y(bar.pitch - 1.5) + 13
        y = above if above > scale.top + 11 else below
        return (
            f'<text class="syllable" x="{self._x(bar.start):.1f}" y="{y:.1f}">'
            f"{escape(bar.text)}</text>"
        )

    def _paths(self, f0: np.ndarray, frame_rate: float, scale: _Scale) -> list[str]:
        """One path for each voiced segment; values outside the range are drawn at its border."""
        voiced = np.concatenate(([False], np.asarray(f0) > 0, [False]))
        midi = np.clip(hz_to_midi(f0), scale.low, scale.high)
        edges = np.flatnonzero(np.diff(voiced.astype(int)))
        paths = []
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            points = [
                f"{self._x((i + 0.5) / frame_rate):.1f} {scale.y(midi[i]):.1f}"
                for i in range(start, end)
            ]
            paths.append("M" + "L".join(points) + ("h.8" if len(points) == 1 else ""))
        return paths


@dataclass(frozen=True)
class _Scale:
    """MIDI numbers low to high on the lane from `top` over `height` drawing units."""

    low: float
    high: float
    top: float
    height: float

    @property
    def step(self) -> float:
        """The height of a semitone."""
        return self.height / (self.high - self.low)

    def y(self, midi: float) -> float:
        return self.top + (self.high - midi) * self.step


def spectrogram_image(mel: np.ndarray, low: float, high: float, colours: str = "magma") -> Encoded:
    """(F, T) as a PNG with a palette, the lowest bin below; `low` to `high` span the colours."""
    share = np.clip((np.asarray(mel, np.float64) - low) / max(high - low, 1e-9), 0, 1)
    image = Image.fromarray(np.round(share[::-1] * 255).astype(np.uint8), mode="P")
    palette = matplotlib.colormaps[colours](np.arange(256), bytes=True)[:, :3]
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return Encoded(file.getvalue(), "image/png")


def hz_to_midi(f0: np.ndarray) -> np.ndarray:
    """MIDI numbers, nan where F0 is 0."""
    f0 = np.asarray(f0, np.float64)
    return np.where(f0 > 0, 69 + 12 * np.log2(np.maximum(f0, 1e-3) / 440), np.nan)


def note_name(pitch: int) -> str:
    """60 -> C4."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def pitch_range(bars: Sequence[Bar], f0: np.ndarray) -> tuple[float, float]:
    """MIDI numbers that show all notes, with room for syllables; without notes nearly all of F0."""
    midi = hz_to_midi(f0)
    midi = midi[np.isfinite(midi)]
    ends = [float(bar.pitch) for bar in bars]
    if not ends and len(midi):
        ends = [float(end) for end in np.percentile(midi, (2, 98))]
    if not ends:
        ends = [57.0, 69.0]
    return min(ends) - 3.0, max(ends) + 4.0


def _gridlines(low: float, high: float) -> list[int]:
    """C and G, or every second note of the scale in a narrow range."""
    wanted = (0, 7) if high - low > 14 else (0, 4, 7, 9)
    return [pitch for pitch in range(int(low) + 1, int(high) + 1) if pitch % 12 in wanted]


def _label(y: float, text: str) -> str:
    return (
        f'<text class="tick" text-anchor="end" x="{LEFT - 4:g}" y="{y + 3.5:.1f}">'
        f"{escape(text)}</text>"
    )


def _seconds(length: float) -> list[float]:
    """At most ten round times."""
    step = next((s for s in (0.5, 1, 2, 5, 10, 20, 30, 60) if length / s <= 10), 120)
    return [i * step for i in range(int(length / step) + 1) if i * step <= length]
