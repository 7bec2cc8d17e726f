"""Datasets and batches of both tasks reach workers that are started anew (forkserver, spawn)."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "diagnostics"))
from talkers import FRAMES, TASK, write_talkers

from voicediff.config import dump_yaml
from voicediff.experiment import read_config
from voicediff.music.score import Note, Score
from voicediff.training.order import SeededIndex, load

SMOKE = Path(__file__).parents[2] / "egs/csd/svs/conf/train_smoke.yaml"


def singing(folder):
    task = read_config(SMOKE).build_task()
    score = Score((Note(0.05, 0.2, 60, "나"), Note(0.2, 0.33, 64, "비")), 0.37)
    np.savez(folder / "a.npz", mel=np.zeros((80, 32), np.float32), f0=np.full(32, 220.0))
    entry = {"utt": "a", "frames": 32, "path": "a.npz", "score": score.to_dict()}
    (folder / "index.json").write_text(json.dumps({"utterances": [entry]}), encoding="utf-8")
    return task, task.dataset(folder, True, {"crop": 0.2})


def separation(folder):
    (folder / "conf.yaml").write_text(dump_yaml({"task": TASK}))
    task = read_config(folder / "conf.yaml").build_task()
    write_talkers(folder / "train")
    return task, task.dataset(folder / "train", True, {"frames": FRAMES})


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return same(vars(a), vars(b)) if hasattr(a, "__dict__") else a == b


@pytest.mark.parametrize(("made", "method"), [(singing, "forkserver"), (separation, "spawn")])
def test_a_worker_that_is_started_anew_makes_the_same_batch(tmp_path, made, method):
    task, dataset = made(tmp_path)
    indices = [[SeededIndex(0, 5), SeededIndex(0, 6)]]
    (here,) = load(task, dataset, indices, 0)
    multiprocessing.set_start_method(method, force=True)
    try:
        (there,) = load(task, dataset, indices, 1)
    finally:
        multiprocessing.set_start_method(None, force=True)
    assert same(here, there)
