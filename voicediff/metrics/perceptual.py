"""Perceptual metrics of a separated track: intelligibility (ESTOI) and quality (PESQ)."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from voicediff.audio.resampling import resampled
from voicediff.metrics.separation import SeparatedTrack, SeparationMetric
from voicediff.registry import register


@register("separation_metric", "estoi")
class ExtendedIntelligibility(SeparationMetric):
    """Extended short-time objective intelligibility (Jensen & Taal 2016), package pystoi: `estoi`.

    Correlation of band envelopes over 384 ms; 1 for clean speech, nan for less than 0.4 s of it.
    """

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        from pystoi import stoi

        # pystoi warns and returns 1e-5 where the speech is too short; it adds weak noise from
        # numpy's global generator
        with warnings.catch_warnings(), _seeded():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                found = stoi(track.target, track.estimate, track.sample_rate, extended=True)
            except RuntimeWarning:
                return {"estoi": float("nan")}
        return {"estoi": float(found)}


@register("separation_metric", "pesq")
class PerceptualQuality(SeparationMetric):
    """Perceptual evaluation of speech quality, wide band (ITU-T P.862.2) and narrow band (P.862.1).

    `pesq_wb` of 16 kHz and `pesq_nb` of 8 kHz, both MOS-LQO from 1 to 4.6. The scales differ,
    so always name the band. Needs the package pesq (`pip install voicediff[pesq]`), whose
    installation needs a C compiler.
    """

    def missing(self) -> str:
        if importlib.util.find_spec("pesq") is None:
            return (
                "the package pesq is not installed "
                "(pip install voicediff[pesq]; needs a C compiler)"
            )
        return ""

    def measure(self, track: SeparatedTrack) -> dict[str, float]:
        sounds = (track.target, track.estimate)
        wide, narrow = (
            [resampled(x, track.sample_rate, to) for x in sounds] for to in (16000, 8000)
        )
        return {"pesq_wb": _pesq(16000, *wide, "wb"), "pesq_nb": _pesq(8000, *narrow, "nb")}


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed numpy's global generator within the block, and restore its state afterwards."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def _pesq(rate: int, target: np.ndarray, estimate: np.ndarray, band: str) -> float:
    """nan where PESQ finds no speech, or a silent estimate."""
    import pesq

    if not estimate.any():
        return float("nan")
    found = pesq.pesq(rate, target, estimate, band, on_error=pesq.PesqError.RETURN_VALUES)
    return float(found) if found > 0 else float("nan")
