"""Sing the test lines and songs of a prepared folder with a trained model.

Writes one folder per row of the score table: natural (the recording), copy (its mel through the
vocoder), mu (the encoder alone) and nfe_N (the sampler with N network evaluations), and whole songs.
Other vocoders that are compared have rows copy_VOCODER and nfe_N_VOCODER.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from voicediff import experiment
from voicediff.audio import read_wav, write_wav
from voicediff.bin.arguments.decode import add_arguments as add_arguments
from voicediff.bin.arguments.inference import apply_inference, chosen_sampler
from voicediff.bin.sing import read_guidance
from voicediff.data.singing.dataset import SingingDataset
from voicediff.data.singing.kaldi import read_folder
from voicediff.diffusion.noise import SeededNoise, item_seed
from voicediff.diffusion.samplers import Sampler
from voicediff.errors import ConfigError
from voicediff.files import whole_folder
from voicediff.inference.shards import (
    finished_parts,
    is_done,
    join_parts,
    read_shard,
    remove_parts,
)
from voicediff.inference.singing import SongRenderer
from voicediff.inference.vocoding import FOLDER, NEURAL, Named, find_vocoder
from voicediff.registry import build
from voicediff.report.singing_examples import choose_songs, split_titles
from voicediff.tasks.svs.model import SingingSynthesis


@dataclass
class Row:
    """One row of the score table: how its mels are made."""

    name: str
    title: str
    vocoder: Named
    nfe: int | None = None
    sampler: Sampler | None = None
    beside: bool = False


def run(args: argparse.Namespace) -> None:
    apply_inference(args)
    loaded = experiment.load(args.model, device=args.device)
    task: SingingSynthesis = loaded.task
    vocoder = find_vocoder(args.vocoder, task.mel, args.model)
    print(f"vocoder: {vocoder.title}")
    if loaded.recommended and not args.sampler:
        name = loaded.sampler.get("name")
        print(f"sampler: {name} as recommended in {loaded.recommended}")
    decoder = Decoding(args, task, vocoder, loaded.sampler)
    for row in decoder.rows():
        decoder.write(row)
    decoder.write_songs()
    if decoder.shard.count == 1:
        remove_parts(args.out)


class Decoding:
    """The rows and songs of one run of `voicediff decode`; those that exist are skipped."""

    def __init__(
        self, args: argparse.Namespace, task: SingingSynthesis, vocoder: Named, sampler: dict
    ):
        self.args, self.task, self.shard = args, task, read_shard(args.shard)
        self.device = next(task.parameters()).device
        self.vocoder = vocoder.to(self.device)
        self.others = [other.to(self.device) for other in self._others(args.compare)]
        self.noise_scale = task.noise_scale if args.noise_scale is None else args.noise_scale
        guidance = read_guidance(args.guidance)
        self.guidance = task.guidance if guidance is None else guidance
        self.shallow = task.shallow if args.shallow is None else args.shallow
        self.sampler_spec = chosen_sampler(args, sampler)
        self.lines: SingingDataset = task.dataset(args.dump, training=False, options={})
        self.recordings = read_folder(args.data)

    def rows(self) -> list[Row]:
        rows = [Row("natural", "recording", self.vocoder), self._copy(self.vocoder)]
        numbers = _read_nfe(self.args.nfe or self._own_nfe())
        rows += [self._generated(nfe, self.vocoder) for nfe in numbers]
        usual = usual_nfe(numbers)
        for other in self.others:
            rows += [self._copy(other, beside=True), self._generated(usual, other, beside=True)]
        return rows

    def _own_nfe(self) -> str:
        """0 and the NFE of the sampler with its own steps."""
        return f"0,{build('sampler', self.sampler_spec, at='sampler').nfe}"

    def _copy(self, vocoder: Named, beside: bool = False) -> Row:
        name = f"copy_{vocoder.title}" if beside else "copy"
        return Row(name, f"copy synthesis, {vocoder.title}", vocoder, beside=beside)

    def _generated(self, nfe: int, vocoder: Named, beside: bool = False) -> Row:
        name, title, sampler = "mu", "encoder output (mu)", None
        if nfe > 0:
            name, title = f"nfe_{nfe}", f"generated, NFE {nfe}"
            sampler = build("sampler", self.sampler_spec, at="sampler").with_nfe(nfe)
        if beside:
            name, title = f"{name}_{vocoder.title}", f"{title}, {vocoder.title}"
        return Row(name, title, vocoder, nfe, sampler, beside)

    def _others(self, names: str | None) -> list[Named]:
        """Vocoders to compare; None: those without training, and the one in the model's folder."""
        if names is None:
            own = [NEURAL] if (self.args.model / FOLDER).is_dir() else []
            found = ["griffin_lim", "harmonic", *own]
        else:
            found = names.replace(",", " ").split()
        others = [find_vocoder(name, self.task.mel, self.args.model) for name in found]
        return [other for other in others if other.title != self.vocoder.title]

    def write(self, row: Row) -> None:
        """All test lines as wav and mel, and `info.json`; one folder, whole or not at all."""
        whole, facts = self.args.out / row.name, self._facts(row)
        folder = self.shard.folder(self.args.out) / row.name
        if is_done(whole, facts) or is_done(folder, facts):
            print(f"{folder}: done already")
            return
        alone = self.shard.count == 1
        parts = finished_parts(self.args.out, row.name, facts) if alone else []
        with whole_folder(folder) as new:
            work = join_parts(parts, new)["work"] if parts else self._fill(row, new)
            facts |= _speed(work) if alone else {"work": work}
            (new / "info.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _fill(self, row: Row, folder: Path) -> dict[str, float]:
        """Write the wav and mel of this job's lines; seconds of work and of sound."""
        seconds = {"network": 0.0, "vocoder": 0.0, "audio": 0.0}
        (folder / "wav").mkdir()
        (folder / "mel").mkdir()
        batches = self.shard.of(list(self._batches()))
        with tqdm(total=sum(map(len, batches)), desc=row.name, unit="line") as bar:
            for batch in batches:
                for utt, mel, f0 in self._mels(row, batch, seconds):
                    np.save(folder / "mel" / f"{utt}.npy", mel)
                    wav = self._wav(row, utt, mel, f0, seconds)
                    write_wav(folder / "wav" / f"{utt}.wav", wav, self.task.mel.sample_rate)
                    bar.update()
        return seconds

    def write_songs(self) -> None:
        """Whole songs, with their recordings."""
        titles = {song: self.recordings.song_score(song).title for song in self.recordings.songs}
        songs = choose_songs(titles, split_titles(self.args.examples), self.args.songs)
        songs = self.shard.of(songs)
        for song in tqdm(songs, desc="songs", unit="song", disable=not songs):
            folder = self.args.out / "songs" / song
            facts = self._facts(Row("song", song, self.vocoder))
            if is_done(folder, facts):
                continue
            with whole_folder(folder) as new:
                self._song(song, new)
                (new / "info.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _song(self, song: str, folder: Path) -> None:
        score = self.recordings.song_score(song)
        sampler = build("sampler", self.sampler_spec, at="sampler")
        seed = item_seed(self.args.seed, song)
        singer = SongRenderer(
            self.task,
            sampler,
            self.vocoder.vocoder,
            seed,
            self.noise_scale,
            self.guidance,
            self.shallow,
        )
        rate = self.task.mel.sample_rate
        write_wav(folder / "generated.wav", singer.wav(score), rate)
        natural, _ = read_wav(self.recordings.song_wav(song), rate)
        write_wav(folder / "natural.wav", natural, rate)
        (folder / "score.json").write_text(json.dumps(score.to_dict(), ensure_ascii=False))

    def _batches(self) -> Iterator[list[int]]:
        """Line numbers of similar length, up to `--batch-seconds` per batch."""
        most = self.args.batch_seconds * self.task.mel.frame_rate
        order = sorted(range(len(self.lines)), key=lambda i: self.lines.lengths[i])
        batch: list[int] = []
        for index in order:
            if batch and self.lines.lengths[index] * (len(batch) + 1) > most:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _mels(
        self, row: Row, indices: list[int], seconds: dict[str, float]
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(utterance, mel (F, T), F0 (T,)) of a row."""
        items = [self.lines.item(index, 0) for index in indices]
        if row.nfe is None:
            yield from ((item["utt"], item["mel"], item["f0"]) for item in items)
            return
        batch = self.task.collate(items, [0] * len(items))
        seeds = [item_seed(self.args.seed, item["utt"]) for item in items]
        began = time.perf_counter()
        song = self.task.generate(
            batch["score"].to(self.device),
            row.sampler,
            SeededNoise(seeds),
            self.noise_scale,
            self.guidance,
            self.shallow,
        )
        mel, f0 = song.mel.float().cpu().numpy(), song.f0.float().cpu().numpy()
        seconds["network"] += time.perf_counter() - began
        for i, item in enumerate(items):
            frames = item["mel"].shape[1]
            yield item["utt"], mel[i, :, :frames], f0[i, :frames]

    def _wav(
        self, row: Row, utt: str, mel: np.ndarray, f0: np.ndarray, seconds: dict[str, float]
    ) -> np.ndarray:
        spec = self.task.mel
        seconds["audio"] += mel.shape[1] / spec.frame_rate
        if row.name == "natural":
            _, start, end = self.recordings.segment(utt)
            return read_wav(self.recordings.wav(utt), spec.sample_rate, start, end)[0]
        began = time.perf_counter()
        with torch.inference_mode():
            wav = row.vocoder.vocoder(
                torch.from_numpy(mel)[None].to(self.device),
                torch.from_numpy(f0)[None].to(self.device),
                SeededNoise([item_seed(self.args.seed, utt, "vocoder")]),
            )
        seconds["vocoder"] += time.perf_counter() - began
        return wav[0].cpu().numpy()

    def _facts(self, row: Row) -> dict:
        """What a row's content depends on; where it is unchanged the row is skipped."""
        return {
            "row": row.name,
            "title": row.title,
            "nfe": row.nfe,
            "sampler": self.sampler_spec if row.sampler or row.name == "song" else None,
            "noise_scale": self.noise_scale,
            "guidance": dict(self.guidance),
            "shallow": self.shallow,
            "seed": self.args.seed,
            "vocoder": row.vocoder.title,
            "vocoder_weights": row.vocoder.weights,
            "beside": row.beside,
            "mel": self.task.mel.hash,
            "weights": experiment.weights_hash(self.args.model),
        }


def usual_nfe(numbers: Sequence[int]) -> int:
    """The NFE of the examples: the largest up to 10."""
    return max([nfe for nfe in numbers if nfe <= 10] or numbers[:1])


def _read_nfe(text: str) -> list[int]:
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise ConfigError(f"--nfe: expected numbers like 0,1,4,10, found {text!r}")
    return numbers


def _speed(seconds: dict[str, float]) -> dict[str, float]:
    """Real-time factors: seconds of computation per second of sound."""
    audio = max(seconds["audio"], 1e-9)
    return {
        "seconds": round(seconds["audio"], 3),
        "rtf": (seconds["network"] + seconds["vocoder"]) / audio,
        "rtf_network": seconds["network"] / audio,
        "rtf_vocoder": seconds["vocoder"] / audio,
    }
