"""Make the experiment folders of `e97c622/` and record what they compute. Runs with commit e97c622 only.

    git worktree add ../e97c622 e97c622
    PYTHONPATH=../e97c622 python tests/old_experiments/record.py OUT

It trains the smallest singer, distilled singer, vocoder and separation model for a few steps with
the trainer of that commit, on corpora that it synthesizes, and keeps what inference needs of each in
OUT/NAME/exp; of the vocoder also a checkpoint and data, so that its training can go on. It takes a
minute. OUT/NAME/recording.npz then holds

    input/NAME      what the model is given
    noise/NUMBER    what the noise generator returned
    output/RUN/...  float32 results on one thread
    runs            JSON: for each run its kind, sampler, options, and the numbers of its noise

The script keeps the names of e97c622 and is not to follow renames: `test_old_experiments.py` replays
the recordings with today's code.
"""

from __future__ import annotations

import inspect
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voicediff.audio import MelSpec, write_wav
from voicediff.bin.main import main as voicediff
from voicediff.config import dump_yaml
from voicediff.data import clips, mixtures, talks
from voicediff.data.features import extract
from voicediff.data.kaldi import Recording, Utterance, write_folder
from voicediff.data.separation import DrawnMixtures, MixtureOptions, collate_mixtures
from voicediff.experiment import Experiment, load
from voicediff.music.score import Note, Score
from voicediff.noise import SeededNoise
from voicediff.pretrained import SINGER
from voicediff.registry import Spec, build
from voicediff.text.tokenizers import PhoneTokenizer

MEL = {"sample_rate": 8000, "n_fft": 256, "hop": 64, "win": 256, "n_mels": 16, "fmax": 4000.0}
LINES = {"train": ([60, 64], [67, 62, 65], [69, 60]), "dev": ([64, 65], [62, 67])}
SYLLABLES = "나비야이리"
NOTE = 0.14  # seconds
FRAMES = 3  # of the videos
ADAMW = {"name": "adamw", "lr": 2e-2}

SINGING = {
    "task": {
        "name": "svs",
        "tokenizer": {"name": "phone"},
        "mel": MEL,
        "timing": {"onset": 3, "coda": 3, "placement": "before"},
        "encoders": {
            "text": {"name": "conv", "dim": 8, "layers": 1, "dropout": 0.2},
            "pitch": {"name": "conv", "dim": 2, "layers": 1, "dropout": 0.1},
        },
        "frames": {"channels": 8, "layers": 1, "kernel": 3, "places": True, "harmonics": True},
        "contour": {"channels": 8, "layers": 1, "weight": 0.1},
        "decoder_sees": ["states", "text", "harmonics"],
        "normalize": "bins",
        "dropout_in_mu": True,
        "noise_scale": 1.1,
        "sde": {"name": "vp_mean", "beta_min": 0.05, "beta_max": 20.0, "t_min": 0.01, "t_max": 0.7},
        "objective": {"name": "edm", "sigma_data": 0.4},
        "diffusion": {
            "times": {"name": "log_normal", "mean": -1.0, "std": 1.2},
            "drop": {"text": 0.2, "mu": 0.1},
        },
        "guidance": {"text": 0.5},
        "decoder": {
            "name": "unet",
            "channels": 4,
            "multipliers": [1, 2],
            "blocks": 1,
            "groups": 2,
            "heads": 2,
            "head_size": 4,
            "patch": [2, 2],
            "frequency_planes": 1,
            "frame_planes": 1,
            "channels_last": False,
        },
    },
    "sampler": {"name": "dpm_solver", "steps": 4},
    "training": {
        "phases": [
            {
                "name": "encoder",
                "turns": ["encoder"],
                "steps": 12,
                "least": 5,
                "batch_size": 2,
                "optimizer": ADAMW,
                "data": {"crop": 0.25},
            },
            {
                "name": "decoder",
                "turns": ["decoder"],
                "steps": 8,
                "batch_size": 2,
                "optimizer": ADAMW,
                "data": {"crop": 0.25},
            },
        ],
        "ema": {"decay": 0.8, "warmup": 2},
        "validate_every": 20,
        "validation_items": 2,
        "previews": 2,
        "pictures": 1,
    },
}

DISTILLED = {
    "task": SINGING["task"]
    | {
        "guidance": {},
        "diffusion": {"times": {"name": "log_normal", "mean": -1.0, "std": 1.2, "at_end": 0.5}},
        "distillation": {
            "steps": 4,
            "order": 2,
            "target": 0.5,
            "guidance": {"text": 0.5},
            "sampler": {"name": "dpm_solver", "steps": 3},
        },
    },
    "sampler": {"name": "consistency", "steps": 2},
    "training": {
        "phases": [
            {
                "name": turn,
                "turns": [turn],
                "steps": 4,
                "batch_size": 2,
                "optimizer": ADAMW,
                "data": {"crop": 0.25},
            }
            for turn in ("reflow", "consistency")
        ],
        "ema": {"decay": 0.5, "warmup": 1},
    },
}

VOCODER = {
    "task": {
        "name": "vocoder",
        "vocoder": {"name": "vocos_source", "channels": 4, "layers": 1, "corrections": 1},
        "mel": MEL,
        "resolutions": [128],
        "discriminators": {
            "periods": {"name": "multi_period", "periods": [3], "channels": 2, "most": 4},
        },
    },
    "training": {
        "phases": [
            {
                "name": "adversarial",
                "turns": ["discriminator", "generator"],
                "steps": 6,
                "least": 2,
                "batch_size": 1,
                "optimizer": ADAMW | {"lr": 2e-3},
                "data": {"crop": 0.2, "speed": [0.8, 1.25], "gain": 6.0},
            }
        ],
        "ema": {"decay": 0.5, "warmup": 1},
        "checkpoint_every": 4,
        "keep": 2,
    },
}

CONDITIONS = ["lips", "others", "identity"]
PHASES = (("warmup", 10), ("predictor", 40), ("generator", 40), ("joint", 4))
SEPARATION = {
    "task": {
        "name": "avss",
        "stft": {"n_fft": 126, "hop": 64, "exponent": 0.5, "factor": 0.15},
        "encoders": {
            "lips": {
                "name": "lip_stacks",
                "dim": 8,
                "channels": [4, 4, 4, 4],
                "shrink": 2,
                "layers": 1,
            },
            "identity": {
                "name": "face_resnet18",
                "dim": 4,
                "width": 1,
                "norm": "group",
                "unit": False,
            },
        },
        "predictor": {
            "name": "patch_unet",
            "channels": [4, 8],
            "patch": [4, 2],
            "full_band": [2],
            "recurrent": 4,
            "hop": 64 / 126,
        },
        "predictor_sees": CONDITIONS,
        "decoder": {"name": "patch_unet", "channels": [4, 8], "patch": [4, 2], "time": 8},
        "decoder_sees": ["mixture", *CONDITIONS],
        "sde": {"name": "bridge", "schedule": "ve", "c": 0.4},
        "objective": {"name": "data", "residual": True},
        "diffusion": {
            "times": {"name": "uniform", "at_end": 0.25},
            "residual_scale": 4.0,
            "own_states": 0.6,
            "drop": {"lips": 0.1, "identity": 0.2},
        },
        "losses": {
            "spectrum": 0.25,
            "level": 0.1,
            "caution": 0.5,
            "generator": 0.9,
            "estimate": 1.0,
            "estimate_stft": 3.0,
            "unseen": "source",
        },
        "faults": {
            "shift": 0.5,
            "late": 1.0,
            "late_share": 0.05,
            "wobble": 0.2,
            "missing": 0.01,
            "frozen": 0.02,
            "gaps": 0.07,
            "hidden": 0.06,
            "blurred": 0.03,
            "crop": 4,
            "flip": True,
            "light": 0.21,
            "faceless": 0.08,
            "alone": 0.11,
            "dark": 0.04,
            "covered": 0.09,
        },
        "bands": 3,
        "noise_scale": 0.9,
        "synchrony": {"reach": 1, "moved": 1.5, "apart": 5.0, "independent": 0.6},
        "sure": 0.9,
        "consistent": True,
    },
    "sampler": {"name": "ddim", "steps": 1},
    "training": {
        "minutes": 60,
        "phases": [
            {
                "name": name,
                "turns": [name],
                "steps": steps,
                "least": 2,
                "batch_size": 2,
                "optimizer": ADAMW,
                "data": {"frames": FRAMES, "faults": {"alone": 0.3, "dark": 0.1}, "speed": 0.05},
            }
            for name, steps in PHASES
        ],
        "ema": {"decay": 0.5, "warmup": 1},
    },
}


# -- corpora ------------------------------------------------------------------------------------


def sung(pitches: list[int], rate: int) -> np.ndarray:
    """A tone of eight harmonics per note, half a semitone sharp, with a trace of noise."""
    hz = np.repeat(440 * 2 ** ((np.array(pitches) - 68.5) / 12), round(NOTE * rate))
    phase = np.cumsum(2 * np.pi * hz / rate)
    tone = sum(np.sin(n * phase) / n for n in range(1, 9))
    noise = np.random.default_rng(len(pitches)).standard_normal(len(hz))
    return (0.1 * tone + 0.003 * noise).astype(np.float32)


def score_of(pitches: list[int], syllables: str) -> Score:
    notes = [
        Note(i * NOTE, (i + 1) * NOTE, pitch, syllables[i % len(syllables)])
        for i, pitch in enumerate(pitches)
    ]
    return Score(tuple(notes), len(pitches) * NOTE)


def singing_corpus(folder: Path) -> Path:
    """Features of a few sung lines; returns the dump folder."""
    data, spec = folder / "data", MelSpec(**MEL)
    for split, songs in LINES.items():
        recordings, lines = [], []
        for number, pitches in enumerate(songs):
            name, score = f"{split}{number}", score_of(pitches, SYLLABLES[number:])
            wav = data / "wav" / f"{name}.wav"
            write_wav(wav, sung(pitches, spec.sample_rate), spec.sample_rate)
            recordings.append(Recording(name, wav, score))
            lines.append(Utterance(name, name, 0.0, score.duration, "나비야", "s", score))
        write_folder(data / split, recordings, lines)
    extract(data, folder / "dump", spec, PhoneTokenizer())
    return folder / "dump"


def pictures(voice: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Mouths (T, 96, 96) that open and close, and a face (224, 224, 3): coarse, so that they compress."""
    y, x = np.mgrid[-12:12, -12:12]
    opening = 4 + 3 * np.sin(1.7 * np.arange(frames)[:, None, None] + voice)
    mouth = np.where((x / 9) ** 2 + (y / opening) ** 2 < 1, 40, 120 + 20 * voice)
    face = np.random.default_rng(voice).integers(60, 200, (7, 7, 3))
    enlarged = (mouth.repeat(4, 1).repeat(4, 2), face.repeat(32, 0).repeat(32, 1))
    return tuple(array.astype(np.uint8) for array in enlarged)


def talking_corpus(folder: Path) -> Path:
    """Two men and two women, two clips each, whose loudness follows their mouths."""
    prepared, frames = [], FRAMES + 4
    for number in range(8):
        mouth, face = pictures(number, frames)
        loud = np.repeat(1 + 0.8 * np.sin(1.7 * np.arange(frames) + number), clips.HOP)
        hz = 120 + 30 * number
        time = np.arange(len(loud)) / clips.SAMPLE_RATE
        tone = sum(np.sin(2 * np.pi * n * hz * time) / n for n in range(1, 20))
        audio = clips.as_int16(0.1 * loud * tone)
        path = folder / f"clip{number}.npz"
        clips.write_clip(path, clips.Clip(audio, mouth, np.ones(frames, bool), face))
        entry = mixtures.Entry(f"clip{number}", f"speaker{number // 2}", "mmmmffff"[number], frames)
        prepared.append(talks.Prepared(entry, path))
    talks.write_prepared(folder, prepared)
    return folder


# -- training -----------------------------------------------------------------------------------


def train(config: dict, folder: Path, *more: object) -> Path:
    """The experiment folder of a configuration, trained by the command line."""
    conf, exp = folder.with_suffix(".yaml"), folder
    conf.write_text(dump_yaml(config), encoding="utf-8")
    assert voicediff(["train", "--config", str(conf), "--exp", str(exp), *map(str, more)]) == 0
    return exp


def keep(exp: Path, target: Path) -> None:
    """What inference needs of an experiment."""
    target.mkdir(parents=True)
    weights = "best" if (exp / "best.safetensors").is_file() else "last"
    for name in ("config.yaml", "versions.json", f"{weights}.safetensors"):
        shutil.copyfile(exp / name, target / name)
    if (exp / "assets").is_dir():
        shutil.copytree(exp / "assets", target / "assets")


def keep_interrupted(exp: Path, target: Path, step: int, dump: Path) -> None:
    """The experiment as it was after an earlier checkpoint, and the data to go on with."""
    keep(exp, target / "exp")
    checkpoint = f"checkpoints/step_{step:08d}"
    shutil.copytree(exp / checkpoint, target / "exp" / checkpoint)
    shutil.copyfile(exp / checkpoint / "weights.safetensors", target / "exp/last.safetensors")
    index = json.loads((dump / "index.json").read_text(encoding="utf-8"))
    (target / "dump").mkdir()
    for entry in index["utterances"][:1]:
        shutil.copyfile(dump / entry["path"], target / "dump" / entry["path"])
        shutil.copyfile(entry["wav"], target / "dump" / f"{entry['utt']}.wav")
        entry["wav"] = f"dump/{entry['utt']}.wav"
    index["utterances"] = index["utterances"][:1]
    text = json.dumps(index, ensure_ascii=False, indent=1)
    (target / "dump/index.json").write_text(text + "\n", encoding="utf-8")


# -- recording ----------------------------------------------------------------------------------


class Tape:
    """Inputs, noise and outputs of the runs of one experiment."""

    def __init__(self):
        self.arrays: dict[str, np.ndarray] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.noises: list[Tensor] = []

    def inputs(self, **tensors: Tensor) -> None:
        self.arrays |= {f"input/{name}": tensor.numpy() for name, tensor in tensors.items()}

    def run(
        self,
        name: str,
        compute: Callable[..., dict[str, Tensor]],
        seeds: list[int],
        **about: Any,
    ) -> None:
        """Record `compute(noise, **about)` under `name`."""
        drawn: list[int] = []
        sources: dict[torch.Size, SeededNoise] = {}  # one a shape, so that runs share more noise

        def noise(like: Tensor) -> Tensor:
            fresh = sources.setdefault(like.shape, SeededNoise(seeds))(like)
            drawn.append(self._number(fresh.half().float()))  # rounded, to be kept in half the size
            return self.noises[drawn[-1]]

        for output, tensor in compute(noise, **about).items():
            self.arrays[f"output/{name}/{output}"] = tensor.detach().cpu().numpy()
        self.runs[name] = {"kind": compute.__name__, "noise": drawn, **about}

    def _number(self, tensor: Tensor) -> int:
        """The tensor's place among those kept, where it may be already."""
        for number, known in enumerate(self.noises):
            if known.shape == tensor.shape and torch.equal(known, tensor):
                return number
        self.noises.append(tensor)
        return len(self.noises) - 1

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        noises = {f"noise/{i}": noise.half().numpy() for i, noise in enumerate(self.noises)}
        np.savez_compressed(path, runs=json.dumps(self.runs), **self.arrays, **noises)


class Probe:
    """A sampler that only looks: the mean, and the data estimate of its first state at three times."""

    TIMES = (0.1, 0.5, 1.0)  # shares of the way from t_min to t_max

    def __call__(self, estimate: Callable, sde: Any, mu: Tensor, *, x: Tensor, **_: Any) -> Tensor:
        times = [sde.t_min + share * (sde.t_max - sde.t_min) for share in self.TIMES]
        data = [estimate(x, x.new_full(x.shape[:1], t)).data for t in times]
        self.found = {"mu": mu, "data": torch.stack(data)}
        return x


def sampler_of(spec: dict | None) -> Any:
    return None if spec is None else build("sampler", Spec(spec, "sampler"))


def replaced_noise(owner: Any, method: str, noise: Callable) -> None:
    """Let a method of the diffusion part or of the distillation draw from `noise`."""
    original = getattr(type(owner), method).__get__(owner)

    def wrapped(*args: Any, **options: Any) -> Any:
        bound = inspect.signature(original).bind(*args, **options)
        bound.arguments["noise"] = noise
        return original(*bound.args, **bound.kwargs)

    setattr(owner, method, wrapped)


def record_singer(exp: Experiment, batch: dict, own: dict, more: dict[str, dict], turns: list[str]):
    """Tape of a singer: mean, estimates, samples, training losses."""
    tape, task, seeds = Tape(), exp.task, [3, 4]
    score = batch["score"]
    tape.inputs(**{f.name: getattr(score, f.name) for f in fields(score)})
    tape.inputs(mel=batch["mel"], f0=batch["f0"])

    def sample(noise: Callable, sampler: dict | None, options: dict) -> dict[str, Tensor]:
        song = task.generate(score, sampler_of(sampler), noise, **options)
        return {"mel": song.mel, "f0": song.f0}

    def probe(noise: Callable) -> dict[str, Tensor]:
        look = Probe()
        task.generate(score, look, noise)
        return look.found

    def loss(noise: Callable, turn: str) -> dict[str, Tensor]:
        for owner, method in ((task.diffusion, "loss"), (task.distillation, turn)):
            if hasattr(owner, method):
                replaced_noise(owner, method, noise)
        return {"loss": task(batch | {"seeds": seeds}, turn).loss}

    tape.run("mean", sample, seeds, sampler=None, options={})
    tape.run("probe", probe, seeds)
    for name, about in {"own": {"sampler": own, "options": {}}, **more}.items():
        tape.run(name, sample, seeds, **about)
    for turn in turns:
        tape.run(f"loss_{turn}", loss, seeds, turn=turn)
    return tape


def singing_batch(task: Any, dump: Path) -> dict:
    """Two lines of different lengths, the second padded."""
    data = task.dataset(dump / "train", False, {})
    return task.collate([data.item(1, 0), data.item(2, 0)], [3, 4])


def record_separation(exp: Experiment, folder: Path) -> Tape:
    tape, task, seeds = Tape(), exp.task, [5, 6]
    data = DrawnMixtures(folder, MixtureOptions(frames=FRAMES), task.faults)
    item = data.item(0, 1)
    item["sources"] = item["sources"][
        ::-1
    ].copy()  # exchanged: worse than the mixture, so `caution` counts
    batch = collate_mixtures([item | {"alone": np.array([False, True])}], [5])
    names = ("mixture", "mouth", "valid", "face", "frames")
    tape.inputs(**{name: batch[name] for name in (*names, "sources", "blind", "alone")})
    given = [batch[name] for name in names]

    def separate(noise: Callable, sampler: dict | None, options: dict) -> dict[str, Tensor]:
        options = dict(options)
        if "lags" in options:
            options["lags"] = torch.tensor(options["lags"])
        found = task.separate(*given, sampler_of(sampler), noise, **options)
        return {"voices": found.voices, "lags": found.lags}

    def loudness(noise: Callable) -> dict[str, Tensor]:
        mixture, mouth, valid, _, frames = given
        return dict(
            zip(("lips", "mixture"), task.loudness(mixture, mouth, valid, frames), strict=True)
        )

    def probe(noise: Callable) -> dict[str, Tensor]:
        look = Probe()
        task.separate(*given, look, noise)
        return look.found

    def loss(noise: Callable, turn: str) -> dict[str, Tensor]:
        replaced_noise(task.diffusion, "loss", noise)
        return {"loss": task(batch, turn).loss}

    tape.run("loudness", loudness, seeds)
    tape.run("mean", separate, seeds, sampler=None, options={})
    tape.run("probe", probe, seeds)
    tape.run("own", separate, seeds, sampler={"name": "ddim", "steps": 3}, options={})
    steps = {"name": "euler_maruyama", "steps": 3, "grid": {"name": "uniform"}}
    options = {"lags": [[1, 0]], "guidance": {"lips": 0.5}, "noise_scale": 1.0}
    tape.run("other", separate, seeds, sampler=steps, options=options)
    for turn, _ in PHASES:
        tape.run(f"loss_{turn}", loss, seeds, turn=turn)
    return tape


def record_vocoder(vocoder: Any, mel: Tensor, f0: Tensor) -> Tape:
    tape = Tape()
    tape.inputs(mel=mel, f0=f0)

    @torch.inference_mode()
    def vocode(noise: Callable) -> dict[str, Tensor]:
        return {"wav": vocoder(mel, f0, noise)}

    tape.run("copy", vocode, list(range(len(mel))))
    return tape


def record_packed(out: Path) -> None:
    """The singer of the package and its vocoder, on one short score."""
    exp = load(SINGER)
    score, _ = exp.task.inputs([score_of([60], "나")])
    tape = Tape()
    tape.inputs(**{f.name: getattr(score, f.name) for f in fields(score)})

    def sample(noise: Callable, sampler: dict | None, options: dict) -> dict[str, Tensor]:
        song = exp.task.generate(score, sampler_of(sampler), noise, **options)
        return {"mel": song.mel, "f0": song.f0}

    tape.run("mean", sample, [7], sampler=None, options={})
    tape.run("own", sample, [7], sampler=dict(exp.sampler) | {"steps": 3}, options={})
    tape.write(out / "packed_singer" / "recording.npz")
    mel, f0 = (torch.from_numpy(tape.arrays[f"output/own/{name}"]) for name in ("mel", "f0"))
    vocoder = load(SINGER / "vocoder").task.vocoder
    record_vocoder(vocoder, mel, f0).write(out / "packed_vocoder" / "recording.npz")


def record(work: Path, out: Path) -> None:
    dump = singing_corpus(work / "singing")
    splits = ("--train", dump / "train", "--dev", dump / "dev", "--assets", dump / "assets")
    keep(train(SINGING, work / "singer", *splits), out / "singing" / "exp")
    more = (*splits[:2], *splits[4:], "--init-from", work / "singer")
    keep(train(DISTILLED, work / "student", *more), out / "distilled" / "exp")
    exp = train(VOCODER, work / "vocoder", *splits[:2], *splits[4:])
    keep_interrupted(exp, out / "vocoder", 4, dump / "train")
    talkers = talking_corpus(work / "talks")
    keep(train(SEPARATION, work / "separator", "--train", talkers), out / "separation" / "exp")

    exp = load(out / "singing" / "exp")
    batch = singing_batch(exp.task, dump)
    stochastic = {"sampler": {"name": "euler_maruyama", "steps": 3}, "options": {"guidance": {}}}
    shallow = {
        "sampler": {"name": "unipc", "steps": 3},
        "options": {"shallow": 0.4, "noise_scale": 0.9, "guidance": {"text": 1.0, "mu": 0.5}},
    }
    own = {"name": "dpm_solver", "steps": 3, "order": 2, "stochastic": False}
    more = {"other": stochastic, "shallow": shallow}
    tape = record_singer(exp, batch, own, more, ["encoder", "decoder", "joint"])
    tape.write(out / "singing" / "recording.npz")
    more = {"other": {"sampler": {"name": "ddim", "steps": 1}, "options": {}}}
    own, turns = {"name": "consistency", "steps": 3}, ["reflow", "consistency"]
    tape = record_singer(load(out / "distilled" / "exp"), batch, own, more, turns)
    tape.write(out / "distilled" / "recording.npz")
    vocoder = load(out / "vocoder" / "exp").task.vocoder
    tape = record_vocoder(vocoder, batch["mel"][:1, :, -32:], batch["f0"][:1, -32:])
    tape.write(out / "vocoder" / "recording.npz")
    tape = record_separation(load(out / "separation" / "exp"), talkers)
    tape.write(out / "separation" / "recording.npz")
    record_packed(out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), Path(sys.argv[1]))
