"""Option names of earlier versions are read as the present ones, and nothing else changes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from voicediff import experiment
from voicediff.config import plain, read_yaml
from voicediff.data.separation.augmentation import VideoAugmentation
from voicediff.data.separation.dataset import MixtureOptions
from voicediff.diffusion.distillation import DistillationOptions
from voicediff.diffusion.model import Diffusion
from voicediff.errors import ConfigError
from voicediff.experiment.conversion import RENAMED, TASKS, converted, converted_path
from voicediff.registry import entries
from voicediff.tasks.avss.losses import LossWeights
from voicediff.tasks.avss.synchrony import Synchrony
from voicediff.training.options import Phase

ROOT = Path(__file__).parents[2]
OLD = sorted((ROOT / "tests/old_experiments/e97c622").glob("*/exp/config.yaml"))
RECIPES = sorted(ROOT.glob("egs/*/*/conf/*.yaml"))
CONFIG = "seed: 1\ntask: {name: avss, sure: 0.5, faults: {alone: 0.1}, decoder_sees: [lips]}\n"


def options(kind: str, names: Iterable[str] = ()) -> set[str]:
    """Options of all parts of a kind, or of some."""
    found = entries(kind)
    return {option for name in names or found for option in found[name].options}


def names_of(cls: type) -> set[str]:
    return {field.name for field in fields(cls)}


OPTIONS = {
    "task": options("task", TASKS),
    "task.losses": names_of(LossWeights),
    "task.augmentation": names_of(VideoAugmentation),
    "task.synchrony": names_of(Synchrony),
    "task.diffusion": set(inspect.signature(Diffusion).parameters),
    "task.diffusion.times": options("times"),
    "task.distillation": names_of(DistillationOptions),
    "task.discriminators.*": options("discriminator"),
    "training.phases.*": names_of(Phase),
    "training.phases.*.data": names_of(MixtureOptions),
    "training.phases.*.data.augmentation": names_of(VideoAugmentation),
    "training.phases.*.optimizer": options("optimizer"),
    "training.phases.*.optimizers.*": options("optimizer"),
}


@pytest.mark.parametrize("old", RENAMED)
def test_every_new_name_is_an_option_and_no_old_name_is(old):
    place, _, name = old.rpartition(".")
    assert RENAMED[old] in OPTIONS[place] and name not in OPTIONS[place]


def leaves(content: Any, place: tuple = ()) -> Iterable[tuple[tuple, Any]]:
    if isinstance(content, (dict, list)) and content:
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from leaves(value, (*place, key))
    else:
        yield place, content


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.parts[-3])
def test_only_names_change(path):
    """Values and their order stay, and so do all keys that are not in the table."""
    old = read_yaml(path)
    new, renamed = converted(old)
    last = {name.rpartition(".")[2]: now.rpartition(".")[2] for name, now in renamed.items()}
    assert renamed and last.items() <= {
        (name.rpartition(".")[2], now) for name, now in RENAMED.items()
    }
    before, after = list(leaves(old)), list(leaves(new))
    assert [value for _, value in before] == [value for _, value in after]
    pairs = zip(before, after, strict=True)
    changed = {(a, b) for (p, _), (q, _) in pairs for a, b in zip(p, q, strict=True) if a != b}
    assert changed <= last.items()
    assert converted(new) == (new, {})


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_recipes_have_the_present_names(path):
    content = read_yaml(path)
    assert converted(content) == (content, {})


def test_a_users_file_with_old_names_is_read_with_one_line(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text(CONFIG)
    task = experiment.read_config(tmp_path / "mine.yaml").task
    assert task == {
        "name": "avss",
        "ambiguity_threshold": 0.5,
        "augmentation": {"drop_others": 0.1},
        "decoder_conditions": ["lips"],
    }
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"{tmp_path / 'mine.yaml'}: task.sure is now task.ambiguity_threshold; "
        "task.faults is now task.augmentation; "
        "task.faults.alone is now task.augmentation.drop_others; "
        "task.decoder_sees is now task.decoder_conditions"
    )


def test_an_experiment_folder_with_old_names_is_read_silently(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "versions.json").write_text("{}")
    config = experiment.read_config(tmp_path / "config.yaml")
    named = [line for line in experiment.differences(tmp_path, config) if "task" in line]
    assert config.task["ambiguity_threshold"] == 0.5 and not named
    assert capsys.readouterr().err == ""


def test_a_file_on_a_base_with_other_names(tmp_path):
    """The task is named by the base; the own file has old names, the base new ones."""
    (tmp_path / "base.yaml").write_text("task: {name: avss, ambiguity_threshold: 0.7}\n")
    (tmp_path / "own.yaml").write_text("base: base.yaml\ntask: {sure: 0.0}\n")
    task = experiment.read_config(tmp_path / "own.yaml").task
    assert task == {"name": "avss", "ambiguity_threshold": 0.0}


def test_overrides_with_old_names(tmp_path, capsys):
    (tmp_path / "new.yaml").write_text("task: {name: avss, augmentation: {jitter: 0.1}}\n")
    task = experiment.read_config(tmp_path / "new.yaml", ["task.faults.wobble=0.2"]).task
    assert task["augmentation"] == {"jitter": 0.2}
    assert capsys.readouterr().err == "task.faults.wobble is now task.augmentation.jitter\n"
    path = "training.phases.warmup.data.faults.dark"
    assert converted_path(path, "avss") == "training.phases.warmup.data.augmentation.drop_all"


def test_an_option_under_both_names_is_refused():
    with pytest.raises(ConfigError, match=r"task\.sure: given twice \(also as ambiguity_threshold"):
        converted({"task": {"name": "avss", "sure": 0.1, "ambiguity_threshold": 0.2}})


def test_options_of_a_users_own_task_keep_their_names():
    phase = {"name": "one", "turns": ["all"], "data": {"voices": 3}}
    content = {"task": {"name": "mine", "sure": 0.1}, "training": {"phases": [phase]}}
    new, renamed = converted(content)
    assert new["task"] == content["task"]
    assert plain(new["training"]["phases"][0]) == {
        "name": "one",
        "targets": ["all"],
        "data": {"voices": 3},
    }
    assert renamed == {"training.phases.one.turns": "training.phases.one.targets"}
