"""Score separated mixtures: metrics by kind of pair, tables, pictures and one page with sounds.

Writes into the separated folder: scores.json (all metrics, also by track), RESULTS.md, pictures/ and
index.html, a page without external files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import joblib
from tqdm import tqdm

from voicediff.bin.arguments.score_mixtures import add_arguments as add_arguments
from voicediff.data.separation.mixtures import ALONE, SAME_VOICE, Mixture
from voicediff.errors import ConfigError
from voicediff.experiment import versions
from voicediff.metrics import (
    SeparatedTrack,
    improved,
    mean_by_group,
    score_track,
    separation_metrics,
)
from voicediff.report.separation_examples import one_of_each_kind
from voicediff.report.separation_metrics import DIFFERENT, GROUPS, ScoredRow, quality
from voicediff.report.separation_report import SeparationReport
from voicediff.report.separation_rows import (
    MIXTURE,
    TRUTH,
    SeparatedRow,
    read_separated,
    track_name,
)
from voicediff.report.singing_rows import read_info
from voicediff.report.table import plain
from voicediff.video.constants import SAMPLE_RATE

Figures = dict[str, float]


def run(args: argparse.Namespace) -> None:
    if args.nj < 1:
        raise ConfigError(f"--nj: expected 1 or more, found {args.nj}")
    if args.examples < 0:
        raise ConfigError(f"--examples: expected 0 or more, found {args.examples}")
    made, rows = read_separated(args.decoded)
    missing = separation_metrics()[1]
    for name, why in missing.items():
        print(f"{name} is not measured: {why}", file=sys.stderr)
    truth = next(row for row in rows if row.name == TRUTH)
    scored = measure(rows, made.mixtures, args.nj)
    robustness = args.decoded / "robustness.json"
    seeds = [row.info["seed"] for row in rows if isinstance(row.info.get("seed"), int)]
    report = SeparationReport(
        args.decoded,
        made,
        truth,
        scored,
        missing,
        read_info(robustness) if robustness.is_file() else None,
        versions(seeds[-1] if seeds else 0),
    )
    report.write(one_of_each_kind(made.mixtures, args.examples))
    present = scored[0].groups
    for group in [g for g in (DIFFERENT, SAME_VOICE) if g in present] or [""]:
        title = GROUPS.get(group, group) or "all mixtures"
        print(f"{title}\n{plain(quality(scored, title, group))}\n")
    print("* best row of a model; RESULTS.md explains the metrics\n")
    for name, path in report.paths.items():
        print(f"{name + ':':8}{path}")


def measure(
    rows: Sequence[SeparatedRow], mixtures: Sequence[Mixture], jobs: int = 1
) -> list[ScoredRow]:
    """All metrics of all rows except the truth; `jobs` mixtures in parallel."""
    scored = [row for row in rows if row.name != TRUTH]
    work = (joblib.delayed(measure_mixture)(rows, mixture) for mixture in mixtures)
    backend = {"backend": "loky", "inner_max_num_threads": 1} if jobs > 1 else {}
    with joblib.parallel_config(n_jobs=min(jobs, len(mixtures)), **backend):
        found = joblib.Parallel(return_as="generator")(work)
        bar = tqdm(found, total=len(mixtures), desc="scoring", unit="mixture", disable=None)
        by_mixture = list(bar)
    names = [track_name(m.id, voice) for m in mixtures for voice in range(len(m.sources))]
    pairs = [mixture.pair for mixture in mixtures for _ in mixture.sources]
    results = []
    for row in scored:
        tracks = [figures for of_mixture in by_mixture for figures in of_mixture[row.name]]
        by_name = dict(zip(names, tracks, strict=True))
        results.append(ScoredRow(row, by_pair(tracks, pairs), by_name))
    return results


def measure_mixture(rows: Sequence[SeparatedRow], mixture: Mixture) -> dict[str, list[Figures]]:
    """Metrics of each track of a mixture by row, including improvements over the mixture."""
    metrics, _ = separation_metrics()
    count = len(mixture.sources)
    tracks = {row.name: row.tracks(mixture.id, count) for row in rows}
    truth = tracks.pop(TRUTH)

    def figures(name: str, k: int) -> Figures:
        others = [truth[j] for j in range(count) if j != k]
        return score_track(SeparatedTrack(truth[k], tracks[name][k], others, SAMPLE_RATE), metrics)

    found = {name: [figures(name, k) for k in range(count)] for name in tracks}
    return {
        name: [improved(*pair, metrics) for pair in zip(voices, found[MIXTURE], strict=True)]
        for name, voices in found.items()
    }


def by_pair(tracks: Sequence[Figures], pairs: Sequence[str]) -> dict[str, Figures]:
    """Means over all, over each kind of pair, and over all pairs of different speakers."""
    groups = mean_by_group(tracks, pairs)
    different = ["" if pair in (SAME_VOICE, ALONE) else DIFFERENT for pair in pairs]
    if DIFFERENT in different:
        groups[DIFFERENT] = mean_by_group(tracks, different)[DIFFERENT]
    return groups
