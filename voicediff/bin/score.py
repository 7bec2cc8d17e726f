"""Score decoded singing: metrics, tables, pictures and one page with sounds.

Writes into the decoded folder: scores.json (all metrics, also by utterance), RESULTS.md, pictures/
and index.html, a page without external files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
from tqdm import tqdm

from voicediff.audio import MelSpec
from voicediff.bin.arguments.score import add_arguments as add_arguments
from voicediff.data.singing.dataset import read_index
from voicediff.data.singing.features import read_mel_spec
from voicediff.data.singing.kaldi import read_folder
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import versions
from voicediff.metrics import Item, score_utterances
from voicediff.metrics.base import TOLERANCE
from voicediff.metrics.reference_f0 import cached_pyin, true_f0, with_f0
from voicediff.music.score import Score
from voicediff.report import singing_metrics
from voicediff.report.singing_examples import Line, choose_songs, split_titles
from voicediff.report.singing_metrics import Scored
from voicediff.report.singing_report import SingingReport
from voicediff.report.singing_rows import Row, read_rows
from voicediff.report.table import plain


def run(args: argparse.Namespace) -> None:
    if args.nj < 1:
        raise ConfigError(f"--nj: expected 1 or more, found {args.nj}")
    mel = read_mel_spec(args.dump.parent / "assets")
    lines, titles = read_lines(args.data, args.dump)
    songs = choose_songs(titles, split_titles(args.examples))
    rows = read_rows(args.decoded, [line.utt for line in lines], mel)
    songs_f0 = _known_f0(args.data) if args.reference_f0 == "auto" else {}
    reference = None if args.reference_f0 == "tracker" else ReferenceF0(args.decoded, songs_f0)
    scored = measure(rows, lines, mel, args.nj, reference)
    seeds = [row.info["seed"] for row in rows if isinstance(row.info.get("seed"), int)]
    report = SingingReport(args.decoded, scored, lines, mel, versions(seeds[-1] if seeds else 0))
    report.write({song: titles[song] for song in songs})
    print(plain(singing_metrics.summary(scored)))
    print("* best generated row; RESULTS.md explains the metrics and their biases\n")
    for name, path in report.paths.items():
        print(f"{name + ':':8}{path}")


def read_lines(data: Path, dump: Path) -> tuple[list[Line], dict[str, str]]:
    """The utterances of the features, and the titles of their songs in the data's order."""
    folder = read_folder(data)
    lines = []
    for entry in read_index(dump):
        utt = entry["utt"]
        if utt not in folder.segments:
            raise DataError(
                f"{dump}/index.json: {utt} is not in {data}; run stage 2 (features) again"
            )
        score = Score.from_dict(entry["score"], f"{dump}/index.json: {utt}")
        lines.append(Line(utt, *folder.segment(utt), score))
    sung = {line.song for line in lines}
    titles = {song: folder.song_score(song).title or song for song in folder.songs if song in sung}
    return lines, titles


@dataclass(frozen=True)
class ReferenceF0:
    """Source of the recordings' F0.

    Attributes:
        decoded: the decoded folder, in which pyin's results are cached below `natural/`.
        known: files with the exact F0 of generated songs; other songs are analysed by pyin.
    """

    decoded: Path
    known: Mapping[str, Path]

    def apply(self, item: Item, line: Line, mel: MelSpec) -> Item:
        if line.song in self.known:
            f0 = true_f0(self.known[line.song], line.start, len(item.f0), mel)
        elif not line.score.notes:
            return item
        else:
            path = self.decoded / "natural" / "reference_f0" / f"{line.utt}.npz"
            f0 = cached_pyin(item.wav, mel, line.score, path)
        return with_f0(item, f0)


def _known_f0(data: Path) -> dict[str, Path]:
    """Files `f0/NAME.npz` beside the folder of the recordings, where the corpus has them."""
    wavs = read_folder(data).wavs
    paths = {song: wav.parent.parent / "f0" / f"{wav.stem}.npz" for song, wav in wavs.items()}
    return {song: path for song, path in paths.items() if path.is_file()}


def measure(
    rows: Sequence[Row],
    lines: Sequence[Line],
    mel: MelSpec,
    jobs: int = 1,
    reference: ReferenceF0 | None = None,
) -> list[Scored]:
    """All metrics of all rows with the row `natural` as reference; `jobs` in parallel."""
    natural = next(row for row in rows if row.name == "natural")
    backend = {"backend": "loky", "inner_max_num_threads": 1} if jobs > 1 else {}
    work = (joblib.delayed(_reference)(natural, line, mel, reference) for line in lines)
    with joblib.parallel_config(n_jobs=min(jobs, len(lines)), **backend):
        references = joblib.Parallel()(work)
    work = (joblib.delayed(_measure_row)(row, lines, references, mel) for row in rows)
    with joblib.parallel_config(n_jobs=min(jobs, len(rows)), **backend):
        found = joblib.Parallel(return_as="generator")(work)
        return list(tqdm(found, total=len(rows), desc="scoring", unit="row"))


def _reference(natural: Row, line: Line, mel: MelSpec, reference: ReferenceF0 | None) -> Item:
    (item,) = _items(natural, [line], mel)
    return item if reference is None else reference.apply(item, line, mel)


def _measure_row(
    row: Row, lines: Sequence[Line], references: Sequence[Item], mel: MelSpec
) -> Scored:
    overall, each = score_utterances(references, _matching(row, lines, references, mel), mel)
    utts = [line.utt for line in lines]
    return Scored(row, overall, dict(zip(utts, each, strict=True)))


def _matching(
    row: Row, lines: Sequence[Line], references: Sequence[Item], mel: MelSpec
) -> Iterator[Item]:
    """The row's items. Raises DataError for one that is not as long as the recording."""
    items = _items(row, lines, mel)
    for line, reference, item in zip(lines, references, items, strict=True):
        if abs(item.frames - reference.frames) > TOLERANCE:
            raise DataError(
                f"{row.folder}: {line.utt} has {item.frames} frames, the recording "
                f"{reference.frames}; run stage 4 (decoding) again"
            )
        yield item


def _items(row: Row, lines: Sequence[Line], mel: MelSpec) -> Iterator[Item]:
    for line in lines:
        sound, features = row.wav(line.utt, mel.sample_rate), row.mel(line.utt, mel.n_mels)
        yield Item(mel=features, wav=sound, score=line.score).prepared(mel)
