"""The figure of README: a song of the mini corpus as it was recorded and as the packed singer sings it.

python docs/figures/make_singing_figure.py     # writes docs/figures/singing.png

The song is one of the test songs of the mini corpus, so neither its tune nor its words were trained
on. Its "recording" is rule-based synthesis, too: no person sings in it.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import voicediff
from voicediff.audio import log_mel
from voicediff.audio.resampling import resampled
from voicediff.corpora.csd.corpus import compose, perform
from voicediff.corpora.csd.voice import RATE

FIGURE = Path(__file__).with_name("singing.png")
SONG, MINUTES, SEED = 47, 30.0, 1
BEGIN, END = 0.0, 7.0  # seconds that are shown


def main() -> None:
    """Draw both spectrograms and the notes below them."""
    song = compose(SONG, MINUTES, SEED)[0]
    singer = voicediff.load("singer")
    spec = singer.task.mel
    recorded = resampled(perform(song, SEED).wav, RATE, spec.sample_rate)
    recording = log_mel(torch.from_numpy(recorded), spec).numpy()
    generated = singer.sing(song.score, steps=10, seed=SEED).mel
    figure, axes = plt.subplots(1, 2, figsize=(12, 3.4), sharey=True, layout="constrained")
    titles = (
        "recording of the mini corpus (rule-based voice)",
        "generated from notes and words, NFE 10",
    )
    for axis, mel, title in zip(axes, (recording, generated), titles, strict=True):
        image = axis.imshow(
            mel[:, : round(END * spec.frame_rate)],
            origin="lower", aspect="auto", cmap="magma", vmin=-9, vmax=1,
            extent=(BEGIN, END, 0, spec.n_mels),
        )  # fmt: skip
        axis.set(title=title, xlabel="time (s)")
    axes[0].set_ylabel("mel bin")
    figure.colorbar(image, ax=axes, label="log magnitude", pad=0.01)
    figure.savefig(FIGURE, dpi=90)


if __name__ == "__main__":
    main()
