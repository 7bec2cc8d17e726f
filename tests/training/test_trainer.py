"""The trainer on a toy task: exact resuming, several processes, error messages."""

from __future__ import annotations

import csv
import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from voicediff import experiment
from voicediff.bin.main import main
from voicediff.config import dump_yaml
from voicediff.experiment import read_config, read_weights
from voicediff.training import budget, checkpoints
from voicediff.training.trainer import Trainer

CONFIG = {
    "import": ["toy_parts.py"],
    "seed": 3,
    "task": {"name": "toy", "dropout": 0.2},
    "training": {
        "phases": [
            {"name": "first", "targets": ["restore"], "steps": 9, "batch_size": 4, "accumulate": 2},
            {
                "name": "second",
                "targets": ["critic", "fool"],
                "steps": 8,
                "batch_size": 5,
                "data": {"crop": 6},
                "optimizers": {"critic": {"name": "adam", "lr": 0.01}},
                "schedule": {"name": "cosine", "warmup": 2},
            },
        ],
        "validate_every": 6,
        "checkpoint_every": 4,
        "log_every": 3,
        "ema": {"decay": 0.9, "warmup": 2},
    },
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data, assets, the user's parts and conf.yaml."""
    rng = np.random.default_rng(0)
    for split, items in (("train", 11), ("dev", 3)):
        (tmp_path / split).mkdir()
        rows = {f"utt{i}": rng.standard_normal((5 + i, 4), np.float32) for i in range(items)}
        np.savez(tmp_path / split / "sequences.npz", **rows)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/tokens.txt").write_text("a b c")
    shutil.copy(Path(__file__).with_name("toy_parts.py"), tmp_path)
    (tmp_path / "conf.yaml").write_text(dump_yaml(CONFIG))
    return tmp_path


def command(place: Path, exp: str, overrides: str = "", *more: str) -> list[str]:
    words = ["train", "--config", place / "conf.yaml", "--train-args", overrides]
    words += ["--train", place / "train", "--dev", place / "dev", "--assets", place / "assets"]
    return [str(word) for word in (*words, "--exp", place / exp, *more)]


def train(place: Path, exp: str, overrides: str = "", *more: str) -> int:
    return main(command(place, exp, overrides, *more))


def weights(place: Path, exp: str, which: str = "raw") -> dict[str, torch.Tensor]:
    return read_weights(place / exp / "last.safetensors", which)[0]


def assert_same(place: Path, one: str, two: str) -> None:
    """Weights, averages and the log, bit for bit."""
    for which in ("raw", "ema"):
        a, b = weights(place, one, which), weights(place, two, which)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert (place / one / "log.csv").read_bytes() == (place / two / "log.csv").read_bytes()


def log(place: Path, exp: str) -> dict[tuple[int, str, str], float]:
    with open(place / exp / "log.csv") as file:
        rows = csv.DictReader(file)
        return {(int(r["step"]), r["split"], r["name"]): float(r["value"]) for r in rows}


def test_training_lowers_the_loss_and_fills_the_folder(place):
    assert train(place, "a", "training.phases.first.steps=150 training.validate_every=100") == 0
    values = log(place, "a")
    assert values[150, "train", "restore/loss"] < 0.7 * values[3, "train", "restore/loss"]
    assert {f"restore/t{bin}" for bin in range(3, 7)} <= {name for _, _, name in values}
    names = {path.name for path in (place / "a").iterdir()}
    expected = "config.yaml versions.json assets parts best.safetensors last.safetensors log.csv"
    assert names >= set(expected.split())


def killed_runs(place: Path, moments: str, exp: str, overrides: str = "") -> str:
    script = Path(__file__).with_name("killed_runs.py")
    words = command(place, exp, overrides)[:-2]
    done = subprocess.run(
        [sys.executable, script, moments, str(place / exp), *words],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_killed_training_resumes_exactly(place):
    last = int(killed_runs(place, "count", "whole"))
    moments = [f"{round(1 + i * (last - 1) / 7)}" for i in range(8)]
    moments += [f"{last // 3}+{last // 2}+{last // 4}"]
    killed_runs(place, ",".join(moments), "killed")
    for moment in moments:
        assert_same(place, "whole", f"killed_{moment}")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_writes_a_checkpoint_and_training_resumes(
    place, monkeypatch, number, workers, capsys
):
    """Also if the whole process group is signalled with its workers, as by schedulers and terminals."""
    train(place, "whole")
    report = Trainer._report
    strangers = multiprocessing.active_children()  # pools that other tests have left

    def stop_in_step_5(self, *args):
        if self.state.step == 4:
            helpers = set(multiprocessing.active_children()).difference(strangers)
            assert len(helpers) == workers
            for process in (*(h.pid for h in helpers), os.getpid()):
                os.kill(process, number)
        report(self, *args)

    monkeypatch.setattr(Trainer, "_report", stop_in_step_5)
    assert train(place, "stopped", f"training.workers={workers}") == 128 + number
    assert "stopped; the same command resumes it" in capsys.readouterr().err
    assert checkpoints.newest(place / "stopped").name == "step_00000005"
    monkeypatch.undo()
    assert train(place, "stopped", f"training.workers={workers}") == 0
    assert_same(place, "whole", "stopped")


def test_workers_do_not_change_the_result(place):
    train(place, "alone")
    train(place, "helped", "training.workers=2")
    assert_same(place, "alone", "helped")


@pytest.fixture
def start_method(request):
    multiprocessing.set_start_method(request.param, force=True)
    yield
    multiprocessing.set_start_method(None, force=True)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"], indirect=True)
def test_spawned_workers_do_not_change_the_result(place, start_method):
    """As on Python 3.14, macOS and Windows; the user's part file has to be imported in them too."""
    phases = "'training.phases=[{name: first, targets: [restore], steps: 3, batch_size: 4}]'"
    assert train(place, "alone", phases) == 0
    assert train(place, "helped", f"training.workers=1 {phases}") == 0
    assert_same(place, "alone", "helped")


def test_a_training_in_a_thread_does_not_change_signal_handlers(place):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    found = []
    thread = threading.Thread(target=lambda: found.append(train(place, "threaded")))
    thread.start()
    thread.join()
    assert found == [0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    train(place, "plain")
    assert_same(place, "plain", "threaded")


LOCKS = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1], timeout=0):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_training_in_a_folder_is_refused_until_the_first_ends(place, capsys):
    (place / "a").mkdir()
    words = [sys.executable, "-c", LOCKS, str(place / "a/.lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        said = refused(capsys, train(place, "a"))
        other.kill()
    assert said == f"{place / 'a'}: another training is running here"
    assert train(place, "a") == 0


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("tpu", "--device: expected cpu, cuda, cuda:N or mps, found 'tpu'"),
        ("gpu", "--device: expected cpu, cuda, cuda:N or mps, found 'gpu'"),
        ("mps", "--device mps: torch finds no such device on this machine; use cpu"),
        ("cuda:7", "--device cuda:7: the last one is cuda:1"),
    ],
)
def test_a_missing_device_is_a_one_line_error(place, capsys, monkeypatch, device, said):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert refused(capsys, train(place, "a", "", "--device", device)) == said
    assert not (place / "a").exists()


def test_a_finished_training_that_is_repeated_changes_nothing(place):
    train(place, "a")
    before = {which: weights(place, "a", which) for which in ("raw", "ema")}
    text = (place / "a/log.csv").read_bytes()
    assert train(place, "a") == 0
    assert all(
        torch.equal(before[w][n], weights(place, "a", w)[n]) for w in before for n in before[w]
    )
    assert (place / "a/log.csv").read_bytes() == text


def test_two_processes_equal_one(place):
    """Also with a batch of five items (three and two), accumulation, two targets and two phases."""
    overrides = "task.dropout=0"
    train(place, "one", overrides)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*launch, "-m", "voicediff", *command(place, "two", overrides)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    for which in ("raw", "ema"):
        one, two = weights(place, "one", which), weights(place, "two", which)
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=2e-5)
    one, two = log(place, "one"), log(place, "two")
    assert one.keys() == two.keys()
    np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-3)


def test_accumulated_batches_equal_one_large_batch(place):
    first = "task.dropout=0 training.phases.first."
    train(place, "large", f"{first}batch_size=8 training.phases.first.accumulate=1")
    train(place, "small", f"{first}batch_size=2 training.phases.first.accumulate=4")
    large, small = weights(place, "large"), weights(place, "small")
    for name in large:
        torch.testing.assert_close(large[name], small[name], rtol=1e-4, atol=2e-5)


def test_bf16_differs_little_and_keeps_fp32_weights(place, monkeypatch):
    monkeypatch.setattr("voicediff.training.trainer.has_bfloat16", lambda device: True)
    train(place, "full", "task.dropout=0")
    train(place, "half", "task.dropout=0 training.precision=bf16")
    full, half = weights(place, "full"), weights(place, "half")
    assert all(tensor.dtype == torch.float32 for tensor in half.values())
    assert any(not torch.equal(full[name], half[name]) for name in full)
    # Adam's first steps have the size of the learning rate whatever the gradient's size
    assert max((full[n] - half[n]).abs().max() for n in full) < 0.02


def test_each_target_trains_its_own_parameters_and_frozen_ones_stay(place):
    start = read_config(place / "conf.yaml").build_task(place / "assets").state_dict()

    def moved(exp: str, phase: str) -> set[str]:
        phase = f"[{{name: a, steps: 3, batch_size: 4, {phase}}}]"
        assert train(place, exp, f"'training.phases={phase}'") == 0
        return {n for n, t in weights(place, exp).items() if not torch.equal(t, start[n])}

    critic = {"critic.weight", "critic.bias"}
    net = {name for name in start if name.startswith("net.")}
    assert moved("critic", "targets: [critic]") == critic
    assert moved("both", "targets: [critic, fool]") == critic | net
    assert moved("frozen", "targets: [all], freeze: [net.0, critic]") == (
        {"net.3.weight", "net.3.bias", "embedding.weight"}
    )


def test_a_phase_starts_from_the_averaged_weights_of_the_previous_one(place):
    train(place, "one", "'training.phases=[{name: first, targets: [restore], steps: 7}]'")
    second = "{name: second, targets: [critic], steps: 1, freeze: []}"
    train(
        place, "two", f"'training.phases=[{{name: first, targets: [restore], steps: 7}}, {second}]'"
    )
    averaged, after = weights(place, "one", "ema"), weights(place, "two")
    assert not torch.equal(averaged["net.0.weight"], weights(place, "one")["net.0.weight"])
    assert torch.equal(after["net.0.weight"], averaged["net.0.weight"])


def test_the_best_weights_are_those_of_the_lowest_sampled_metric_of_the_last_phase(place):
    train(place, "a", "training.validate_every=2")
    errors = {step: v for (step, split, name), v in log(place, "a").items() if name == "error"}
    assert {8, 10, 16, 17} <= set(errors)
    best = min((step for step in errors if step > 9), key=errors.get)
    assert read_weights(place / "a/best.safetensors", "ema")[1]["step"] == best
    assert read_weights(place / "a/last.safetensors", "ema")[1]["step"] == 17


def test_old_checkpoints_are_removed(place):
    train(place, "a", "training.keep=3 training.checkpoint_every=1")
    names = sorted(path.name for path in (place / "a/checkpoints").iterdir())
    assert names == ["step_00000015", "step_00000016", "step_00000017"]


def test_a_part_in_a_users_file_is_kept_with_the_experiment(place):
    train(place, "a")
    (place / "toy_parts.py").unlink()
    del sys.modules["toy_parts"]
    loaded = experiment.load(place / "a", ema=False)
    assert type(loaded.task).__module__ == "toy_parts"
    assert not loaded.task.training
    for name, tensor in weights(place, "a").items():
        assert torch.equal(loaded.task.state_dict()[name], tensor) or loaded.step != 17


# -- what stops a training --------------------------------------------------------------------------


def spoil(place: Path, name: str, value: float, split: str = "train") -> None:
    path = place / split / "sequences.npz"
    with np.load(path) as file:
        rows = {key: file[key] for key in file}
    rows[name][2] = value
    np.savez(path, **rows)


def refused(capsys, status: int) -> str:
    """The one line of error output (without progress bars) of a program that ends with status 2."""
    assert status == 2
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.strip() and "step/s" not in line]
    assert len(said) == 1 and said[0].startswith("voicediff train: "), said
    return said[0].removeprefix("voicediff train: ")


def test_a_nan_loss_names_step_and_item_and_keeps_the_checkpoint(place, capsys):
    train(place, "a", "training.phases.second.steps=2")
    kept = weights(place, "a")
    spoil(place, "utt7", np.nan)
    capsys.readouterr()
    again = "training.phases.second.steps=60", "--resume-with-new-config"
    message = refused(capsys, train(place, "a", *again))
    assert "the loss is nan for utt7; the checkpoint step_" in message
    assert "is kept" in message and message.startswith("step ")
    assert all(torch.isfinite(tensor).all() for tensor in weights(place, "a").values())
    assert weights(place, "a").keys() == kept.keys()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_invalid_item_is_a_one_line_error_also_from_a_worker(place, capsys, workers):
    spoil(place, "utt7", np.inf)
    assert refused(capsys, train(place, "a", f"training.workers={workers}")) == "utt7: infinite"


def test_a_full_disk_is_a_one_line_error_and_keeps_the_last_checkpoint(place, capsys, monkeypatch):
    train(place, "a", "training.phases.second.steps=2")
    capsys.readouterr()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = refused(
        capsys, train(place, "a", "training.phases.second.steps=8", "--resume-with-new-config")
    )
    assert "No space left on device" in message
    monkeypatch.undo()
    assert train(place, "a", "training.phases.second.steps=8", "--resume-with-new-config") == 0
    assert checkpoints.newest(place / "a").name == "step_00000017"


def test_another_configuration_in_the_same_folder_is_refused(place, capsys):
    train(place, "a")
    capsys.readouterr()
    message = refused(capsys, train(place, "a", "seed=4 training.phases.first.clip=2"))
    assert message.startswith(f"{place / 'a'}: was started with another configuration: ")
    assert "seed (3, now 4), training.phases[0].clip (1.0, now 2.0); " in message
    assert train(place, "a", "seed=4", "--resume-with-new-config") == 0
    assert train(place, "a", "seed=4 training.workers=1") == 0


def test_other_assets_or_parts_in_the_same_folder_are_refused(place, capsys):
    train(place, "a")
    capsys.readouterr()
    with open(place / "toy_parts.py", "a") as file:
        file.write("\n# changed\n")
    assert "import toy_parts.py (its text); " in refused(capsys, train(place, "a"))
    (place / "assets/tokens.txt").write_text("a b d")
    assert "was started with other assets (tokens.txt)" in refused(capsys, train(place, "a"))


def test_fine_tuning_loads_matching_weights_and_lists_the_others(place, capsys):
    train(place, "a")
    capsys.readouterr()
    assert train(place, "b", "task.hidden=9", "--init-from", str(place / "a")) == 0
    said = capsys.readouterr().err
    assert f"weights loaded from {place / 'a'}; not loaded: 3" in said
    assert "  net.0.weight is (8, 4), the model has (9, 4)" in said
    only = "'training.phases=[{name: x, targets: [restore], steps: 1}]' 'training.ema.decay=0'"
    assert train(place, "c", only, "--init-from", str(place / "a")) == 0
    best = read_weights(place / "a/best.safetensors", "ema")[0]
    assert torch.equal(weights(place, "c")["critic.weight"], best["critic.weight"])


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            "training.phasess=1",
            "training.phasess: no such option of training; did you mean 'phases'?",
        ),
        (
            "training.phases.first.targets=[restor]",
            "training.phases[0].targets.restor: no such option; did you mean 'restore'?",
        ),
        (
            "training.phases.second.optimizers.critic.lr=fast",
            "training.phases[1].optimizers.critic.lr: expected float, found 'fast' (str)",
        ),
        (
            "training.phases.second.optimizers.critic.wieght=1",
            "training.phases[1].optimizers.critic.wieght: no such option of optimizer 'adam'",
        ),
        ("training.phases.first.steps=0", "training.phases[0].steps: expected at least 1, found 0"),
        ("training.precision=fp16", "training.precision: no choice 'fp16'; did you mean 'bf16'?"),
        ("training.phases.first.freeze=[nett]", "training.phases[0].freeze: no parameter begins"),
        ("task.hiden=3", "task.hiden: no such option of task 'toy'; did you mean 'hidden'?"),
        ("task.name=toi", "task.name: no task 'toi'; did you mean 'toy'?"),
        ("loggers=[tensorbord]", "loggers[1].name: no logger 'tensorbord'; did you mean"),
        ("sampler=heun", "sampler: expected a section"),
        ("import=[none.py]", "import: no file "),
        ("training.phases.third.steps=3", "training.phases.third: no such section; choices: 0, 1,"),
    ],
)
def test_a_mistake_in_the_configuration_names_its_place(place, capsys, overrides, message):
    assert refused(capsys, train(place, "a", overrides)).startswith(message)
    assert not (place / "a/config.yaml").exists()


@pytest.mark.parametrize("folder", ["train", "dev", "assets"])
def test_a_missing_folder_is_named(place, capsys, folder):
    shutil.rmtree(place / folder)
    assert refused(capsys, train(place, "a")).startswith(f"{place / folder}")


LONG = "training.phases.first.steps=60 training.phases.second.steps=40"


def test_the_trial_changes_nothing_within_the_time_limit(place):
    assert train(place, "free", LONG) == 0
    assert train(place, "bound", f"{LONG} training.minutes=60") == 0
    assert_same(place, "free", "bound")
    kept = json.loads((place / "bound/fitted.json").read_text())
    assert kept["shares"] == {"first": 1.0, "second": 1.0}
    assert set(kept["seconds"]) == {"first", "second"}
    assert all(0 < seconds < 1 for seconds in (*kept["seconds"].values(), kept["validation"]))


def test_on_a_slow_machine_all_phases_are_shortened_by_the_same_factor(place, monkeypatch, capsys):
    times = budget.StepTimes({"first": 2.0, "second": 3.0}, validation=1.2)
    monkeypatch.setattr(budget, "measure", lambda *_: (times, 0))
    wanted = f"{LONG} training.minutes=2.01 training.validate_every=20"
    report = Trainer._report

    def stop_in_step_21(self, *args):
        if self.state.step == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        report(self, *args)

    monkeypatch.setattr(Trainer, "_report", stop_in_step_21)
    assert train(place, "killed", wanted) == 128 + signal.SIGTERM
    monkeypatch.undo()
    # 60 x 2 s + 40 x 3 s + 6 validations of 1.2 s: 247.2 s, and 120.6 s are left
    assert "would take 4 minutes: 48 of 100 steps instead" in capsys.readouterr().err
    assert train(place, "killed", wanted) == 0  # goes on without measuring again
    phases = read_config(place / "killed/config.yaml").training["phases"]
    assert [phase["steps"] for phase in phases] == [29, 19]
    assert checkpoints.newest(place / "killed").name == "step_00000048"


def test_a_phase_keeps_its_min_steps_and_the_others_lose_more(place, monkeypatch):
    times = budget.StepTimes({"first": 2.0, "second": 3.0}, validation=0.0)
    monkeypatch.setattr(budget, "measure", lambda *_: (times, 0))
    timer = iter([0.0, 0.0, 100.0])  # the end is set, training begins, the first phase is done
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(timer)))
    assert train(place, "a", f"{LONG} training.minutes=2 training.phases.first.min_steps=50") == 0
    phases = read_config(place / "a/config.yaml").training["phases"]
    assert [phase["steps"] for phase in phases] == [50, 6]  # 50 x 2 s + 6 x 3 s of 120 s


@pytest.mark.parametrize(
    "minutes, spent, first, second",
    [
        (4.0, 120.0, 60, 40),  # as in the trial: all 60 x 2 s + 40 x 3 s
        (4.0, 180.0, 60, 13),  # slower by half: 60 s are left for steps of 4.5 s
        (2.0, 60.0, 30, 20),
        (2.0, 30.0, 30, 40),  # twice as fast: 90 s are left for steps of 1.5 s, more than there are
        (2.0, 300.0, 30, 1),  # the time is over
    ],
)
def test_the_budget_is_adjusted_between_phases(
    place, monkeypatch, capsys, minutes, spent, first, second
):
    times = budget.StepTimes({"first": 2.0, "second": 3.0}, validation=0.0)
    monkeypatch.setattr(budget, "measure", lambda *_: (times, 0))
    timer = iter([0.0, 0.0, spent])  # the end is set, training begins, the first phase is done
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(timer)))
    assert train(place, "a", f"{LONG} training.minutes={minutes}") == 0
    assert checkpoints.newest(place / "a").name == f"step_{first + second:08d}"
    phases = read_config(place / "a/config.yaml").training["phases"]
    assert [phase["steps"] for phase in phases] == [first, second]
    said = capsys.readouterr().err
    planned = min(40, 2 * first // 3)
    assert (f"{second} remaining steps instead of {planned}" in said) == (planned != second)
    assert train(place, "a", f"{LONG} training.minutes={minutes}") == 0  # its length is kept
    assert checkpoints.newest(place / "a").name == f"step_{first + second:08d}"


def test_a_training_hardly_longer_than_the_trial_is_not_timed(place):
    assert train(place, "short", "training.minutes=0.0001") == 0
    assert not (place / "short/fitted.json").exists()
    assert checkpoints.newest(place / "short").name == "step_00000017"
