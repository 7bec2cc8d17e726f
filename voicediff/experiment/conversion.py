"""Option names of earlier versions, and configurations converted to the present names.

`RENAMED` maps `place.old_name` to the new name. Places are written with the present names; `*` stands for
any phase, optimizer or discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voicediff.errors import ConfigError

Keys = tuple[str, ...]
Patterns = Mapping[Keys, str]

TASKS = ("avss", "svs", "vocoder")  # options of other tasks are not renamed

_AUGMENTATION = {
    "wobble": "jitter",
    "faceless": "drop_face",
    "alone": "drop_others",
    "dark": "drop_all",
    "covered": "occlude_all",
}
_OPTIMIZERS = ("training.phases.*.optimizer", "training.phases.*.optimizers.*")

RENAMED: dict[str, str] = {
    "task.predictor_sees": "predictor_conditions",
    "task.decoder_sees": "decoder_conditions",
    "task.faults": "augmentation",
    "task.bands": "envelope_bands",
    "task.sure": "ambiguity_threshold",
    "task.consistent": "mixture_consistency",
    "task.losses.caution": "degradation_penalty",
    "task.losses.unseen": "no_video_target",
    "task.synchrony.reach": "max_lag",
    "task.synchrony.moved": "lag_penalty",
    "task.synchrony.apart": "separate_lag_penalty",
    "task.synchrony.independent": "independent_fraction",
    "task.diffusion.own_states": "scheduled_sampling",
    "task.diffusion.times.at_end": "t_max_share",
    "task.distillation.target": "target_decay",
    "task.discriminators.*.most": "max_channels",
    "task.fooling_weight": "adversarial_weight",
    "training.phases.*.turns": "targets",
    "training.phases.*.least": "min_steps",
    "training.phases.*.data.faults": "augmentation",
    "training.phases.*.data.voices": "num_speakers",
    **{f"{place}.largest": "max_side" for place in _OPTIMIZERS},
    **{f"task.augmentation.{old}": new for old, new in _AUGMENTATION.items()},
    **{f"training.phases.*.data.augmentation.{old}": new for old, new in _AUGMENTATION.items()},
}


def converted(content: Mapping[str, Any], task: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """A copy of `content` with the present names, and the paths that changed, old -> new.

    task: name of the task where `content` does not give it (a file with `base:`). Raises ConfigError
    where an option is given under both names.
    """
    renamed: dict[str, str] = {}
    patterns = _patterns(task_name(content) or task)
    return _section(content, (), (), patterns, renamed), renamed


def converted_path(path: str, task: str) -> str:
    """The path of an override, e.g. `training.phases.warmup.least`, with the present names."""
    keys: Keys = ()
    for key in path.split("."):
        keys = (*keys, _name(keys, key, _patterns(task)))
    return ".".join(keys)


def described(renamed: Mapping[str, str]) -> str:
    """Renamed options on one line, for a warning."""
    return "; ".join(f"{old} is now {new}" for old, new in renamed.items())


def task_name(content: Mapping[str, Any]) -> str:
    """`task.name`, or an empty string."""
    task = content.get("task")
    return str(task.get("name", "")) if isinstance(task, Mapping) else ""


def _patterns(task: str) -> Patterns:
    """Places with old names. Options of a user's own task and of its data are not ours to rename."""
    patterns = {tuple(place.split(".")): name for place, name in RENAMED.items()}
    if task in TASKS:
        return patterns
    return {k: v for k, v in patterns.items() if k[0] != "task" and "data" not in k}


def _section(
    section: Mapping[str, Any], place: Keys, written: Keys, patterns: Patterns, renamed: dict
) -> dict[str, Any]:
    """place: path of the section in present names; written: its path as the file has it."""
    result: dict[str, Any] = {}
    for key, value in section.items():
        name, old_path = _name(place, key, patterns), (*written, str(key))
        if name != key:
            renamed[".".join(old_path)] = ".".join((*place, name))
            if name in section:
                raise ConfigError(f"{'.'.join(old_path)}: given twice (also as {name})")
        result[name] = _value(value, (*place, str(name)), old_path, patterns, renamed)
    return result


def _value(value: Any, place: Keys, written: Keys, patterns: Patterns, renamed: dict) -> Any:
    if isinstance(value, Mapping):
        return _section(value, place, written, patterns, renamed)
    if isinstance(value, list):
        return [
            _value(item, (*place, key), (*written, key), patterns, renamed)
            for key, item in zip(_member_names(value), value, strict=True)
        ]
    return value


def _member_names(items: list) -> list[str]:
    """Members of a list are addressed by their name, else by their number."""
    return [
        str(item.get("name", number)) if isinstance(item, Mapping) else str(number)
        for number, item in enumerate(items)
    ]


def _name(place: Keys, key: Any, patterns: Patterns) -> Any:
    """The present name of the option `key` at `place`."""
    for pattern, name in patterns.items():
        if pattern[-1] == key and _matches(place, pattern[:-1]):
            return name
    return key


def _matches(place: Keys, pattern: Keys) -> bool:
    return len(place) == len(pattern) and all(
        wanted in ("*", key) for key, wanted in zip(place, pattern, strict=True)
    )
