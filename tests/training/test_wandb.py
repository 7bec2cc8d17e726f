"""The wandb logger, offline: what its files hold is read back, also after a kill and a resume."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicediff.bin.main import main
from voicediff.config import dump_yaml

wandb = pytest.importorskip("wandb")
wandb_pb2 = pytest.importorskip("wandb.proto.wandb_internal_pb2")

CONFIG = {
    "import": ["toy_parts.py"],
    "seed": 3,
    "task": {"name": "toy"},
    "training": {
        "phases": [{"name": "only", "targets": ["restore"], "steps": 7, "batch_size": 4}],
        "log_every": 1,
        "checkpoint_every": 2,
        "validate_every": 4,
    },
    "loggers": ["csv", "wandb"],
}

# Kills the process in the forward pass whose number is the last word, after the second in which
# W&B writes its file. Prints any attempt to reach a server.
KILLED = """
import os, signal, sys, time
passes, last = 0, int(sys.argv.pop())
def count(event, details):
    global passes
    if event == "toy.forward":
        passes += 1
        if passes == last:
            time.sleep(2.0)
            os.kill(os.getpid(), signal.SIGKILL)
    if event == "socket.getaddrinfo":
        print("asked for", *details, flush=True)
sys.addaudithook(count)
from voicediff.bin.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch) -> list[str]:
    """`voicediff train ...` of a toy task that logs to wandb."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    rng = np.random.default_rng(0)
    for split in ("train", "dev"):
        (tmp_path / split).mkdir()
        rows = {f"utt{i}": rng.standard_normal((5 + i, 4), np.float32) for i in range(4)}
        np.savez(tmp_path / split / "sequences.npz", **rows)
    shutil.copy(Path(__file__).with_name("toy_parts.py"), tmp_path)
    (tmp_path / "conf.yaml").write_text(dump_yaml(CONFIG))
    words = ["--config", "conf.yaml", "--train", "train", "--dev", "dev", "--exp", "exp"]
    return ["train", *(w if w.startswith("--") else str(tmp_path / w) for w in words)]


def chunks(content: bytes) -> list[tuple[int, bytes]]:
    """(type, bytes) of the chunks of a LevelDB log with a header of 7 bytes, in blocks of 32 KiB."""
    found, place = [], 7
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        found.append((kind, content[place + 7 : place + 7 + length]))
        place += 7 + length
    return found


def records(run: Path) -> list[Any]:
    """The records of a `.wandb` file. A record is one whole chunk (1) or first, middle, last."""
    [path] = run.glob("*.wandb")
    found, parts = [], b""
    for kind, data in chunks(path.read_bytes()):
        parts = data if kind in (1, 2) else parts + data
        if kind in (1, 4):
            found.append(wandb_pb2.Record.FromString(parts))
    return found


def history(content: list[Any]) -> list[dict[str, Any]]:
    """The rows of the history; of a picture or sound there are keys like `net.path`."""
    rows = [r.history.item for r in content if r.WhichOneof("record_type") == "history"]
    return [{".".join(i.nested_key): json.loads(i.value_json) for i in row} for row in rows]


def runs(command: list[str]) -> list[dict[str, Any]]:
    """Id, group, configuration, rows and artefacts of each run in the experiment, oldest first."""
    wandb.teardown()  # the process that writes the files ends
    found = []
    for folder in (Path(command[-1]) / "wandb").glob("offline-run-*"):
        content = records(folder)
        run = next(r.run for r in content if r.WhichOneof("record_type") == "run")
        config = {i.key: json.loads(i.value_json) for i in run.config.update}
        artefacts = [r.artifact for r in content if r.WhichOneof("record_type") == "artifact"]
        found.append(
            {"id": run.run_id, "group": run.run_group, "config": config, "folder": folder}
            | {"rows": history(content), "artefacts": artefacts}
        )
    return sorted(found, key=lambda run: run["rows"][0]["_step"])


def scalars(rows: list[dict[str, Any]]) -> dict[tuple[int, str], float]:
    splits = ("train/", "dev/", "sample/")
    return {(r["_step"], k): v for r in rows for k, v in r.items() if k.startswith(splits)}


def logged(command: list[str]) -> dict[tuple[int, str], float]:
    """The same from log.csv."""
    with open(Path(command[-1]) / "log.csv") as file:
        rows = csv.DictReader(file)
        return {(int(r["step"]), f"{r['split']}/{r['name']}"): float(r["value"]) for r in rows}


def test_a_run_holds_configuration_scalars_media_table_and_weights(command):
    assert main(command) == 0
    exp = Path(command[-1])
    [run] = runs(command)
    assert (
        run["config"]["training"]["phases"][0]["steps"] == 7 and "resumed_from" not in run["config"]
    )
    assert [row["_step"] for row in run["rows"]] == list(range(1, 8))
    assert scalars(run["rows"]) == pytest.approx(logged(command))
    for name in ("net.path", "tone.path"):
        paths = [row[name] for row in run["rows"] if name in row]
        assert len(paths) == 2 and all((run["folder"] / "files" / path).is_file() for path in paths)
    [table] = run["folder"].rglob("*.table.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["step", "dev/restore/loss", "sample/error"]
    values = logged(command)
    assert content["data"] == [[s, *(values[s, n] for n in content["columns"][1:])] for s in (4, 7)]
    models = {(set(a.aliases) - {"latest"}).pop(): a for a in run["artefacts"] if a.type == "model"}
    assert set(models) == {"last", "best"}
    for name, artefact in models.items():
        files = {entry.path: entry.size for entry in artefact.manifest.contents}
        assert files[f"{name}.safetensors"] == (exp / f"{name}.safetensors").stat().st_size
        assert {"config.yaml", "parts/toy_parts.py"} <= set(files)


def test_every_step_is_logged_once_after_a_kill_and_a_resume(command):
    # five passes of training and one of validation at step 4: step 5 is in no checkpoint
    words = [sys.executable, "-c", KILLED, *command, "7"]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == -signal.SIGKILL and done.stdout == b""
    assert main(command) == 0
    first, second = runs(command)
    assert first["id"] == first["group"] == second["group"] != second["id"]
    assert second["config"]["resumed_from"] == {"run": first["id"], "step": 4}
    assert [row["_step"] for row in first["rows"]] == [1, 2, 3, 4]
    assert [row["_step"] for row in second["rows"]] == [5, 6, 7]
    assert scalars(first["rows"] + second["rows"]) == pytest.approx(logged(command))


def test_a_finished_training_that_is_repeated_adds_no_run(command):
    assert main(command) == 0 and main(command) == 0
    assert len(runs(command)) == 1
