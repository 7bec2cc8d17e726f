"""Configuration files: strict reading, overriding, and writing that is read back unchanged."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicediff.config import dump_yaml, only_keys, override, parse_yaml, plain, read_yaml
from voicediff.errors import ConfigError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.sampled_from(
        ["no", "yes", "on", "1e-4", "0x1f", "010", "1_000", "2020-01-01", "~", "null"]
    )
)
contents = st.dictionaries(
    texts,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@settings(deadline=None)
@given(contents)
def test_a_written_configuration_is_read_back_unchanged(content):
    again = parse_yaml(dump_yaml(content))
    assert again == content
    assert repr(again) == repr(content)  # 1 and 1.0 and True are equal, but not the same


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused_with_its_name(text):
    try:
        parse_yaml(text, "conf.yaml")
    except ConfigError as error:
        assert str(error).startswith("conf.yaml:") and "\n" not in str(error)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("2020-01-01", "2020-01-01"),
        ("12:30:45", "12:30:45"),
        ("0x1f", "0x1f"),
        ("1e", "1e"),
        ("한국어", "한국어"),
    ],
)
def test_scalars_are_parsed_as_expected(text, value):
    read = parse_yaml(f"x: {text}")["x"]
    assert read == value and type(read) is type(value)


def test_a_key_given_twice_is_refused_with_both_lines():
    with pytest.raises(ConfigError) as error:
        parse_yaml("a: 1\nb: {c: 1,\n c: 2}\n", "x.yaml")
    assert str(error.value) == "x.yaml:3: 'c' is given twice (also line 2)"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a: [1", "conf.yaml:1: not YAML: "),
        (b"- 1", "conf.yaml: the top level must be `key: value` lines"),
        (b"a: \xff", "conf.yaml: not UTF-8 (byte 3); save the file as UTF-8"),
        (b"? [1]\n: 2", "conf.yaml:1: [1] cannot be a key"),
        (b"a: \x00", "conf.yaml: not YAML: "),
        (b"a: !!python/name:os.system", "conf.yaml:1: not YAML: "),
    ],
)
def test_an_unreadable_file_is_a_one_line_error(tmp_path, content, message):
    path = tmp_path / "conf.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file or directory$"):
        read_yaml(tmp_path / "none.yaml")


def test_an_empty_file_and_a_byte_order_mark_are_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"")
    (tmp_path / "b.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(tmp_path / "a.yaml") == {}
    assert read_yaml(tmp_path / "b.yaml") == {"a": 1}


CONFIG = {
    "task": {"name": "svs", "sde": {"name": "vp", "beta_min": 0.1}},
    "phases": [{"name": "first", "steps": 1}, {"name": "second", "steps": 2}],
    "seed": 1,
}


@pytest.mark.parametrize(
    "assignment, place",
    [
        ("seed=5", {"seed": 5}),
        (
            "task.sde.beta_min=1e-3",
            {"task": {"name": "svs", "sde": {"name": "vp", "beta_min": 1e-3}}},
        ),
        (
            "task.sde.beta_max=3",
            {"task": {"name": "svs", "sde": {**CONFIG["task"]["sde"], "beta_max": 3}}},
        ),
        ("task.sde.name=edm", {"task": {"name": "svs", "sde": {"name": "edm"}}}),
        (
            "phases.second.steps=7",
            {"phases": [CONFIG["phases"][0], {"name": "second", "steps": 7}]},
        ),
        ("phases.0.steps=7", {"phases": [{"name": "first", "steps": 7}, CONFIG["phases"][1]]}),
        ("phases.1={name: x}", {"phases": [CONFIG["phases"][0], {"name": "x"}]}),
        ("names=[a, 2]", {"names": ["a", 2]}),
        ("text=a=b", {"text": "a=b"}),
        ("empty=", {"empty": None}),
    ],
)
def test_an_override_changes_one_place(assignment, place):
    assert override(CONFIG, [assignment]) == CONFIG | place


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("seed", "'seed': an override is written key.key=value"),
        ("=3", "'=3': an override is written key.key=value"),
        ("tsk.x=3", "tsk: no such section; did you mean 'task'?"),
        ("task.sd.x=3", "task.sd: no such section; did you mean 'sde'?"),
        ("phases.third.x=3", "phases.third: no such section; choices: 0, 1, first, second"),
        ("seed.x=3", "seed: is not a section but 1"),
        ("task.x=[1", "task.x:1: not YAML: "),
    ],
)
def test_an_override_of_nothing_is_refused(assignment, message):
    with pytest.raises(ConfigError) as error:
        override(CONFIG, [assignment])
    assert str(error.value).startswith(message)


def test_overriding_does_not_change_the_original():
    before = plain(CONFIG)
    override(CONFIG, ["task.sde.beta_min=7", "phases.0.steps=9"])
    assert CONFIG == before


BASE = """
task:
  decoder: {name: unet, channels: 32}
  sde: {name: vp, beta_min: 1}
training:
  phases:
    - {name: one, steps: 5, lr: 1}
    - {name: two, steps: 6, lr: 2}
loggers: [csv, tensorboard]
"""


def written(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{name}.yaml"


def test_a_file_is_merged_with_its_base(tmp_path):
    middle = "base: bottom.yaml\ntask: {decoder: {channels: 64}, sde: {name: edm}}"
    top = "base: middle.yaml\ntraining: {phases: [{name: two, steps: 9}, {name: new}]}\nloggers: [csv]"
    assert read_yaml(written(tmp_path, bottom=BASE, middle=middle, top=top)) == {
        "task": {"decoder": {"name": "unet", "channels": 64}, "sde": {"name": "edm"}},
        "training": {"phases": [{"name": "two", "steps": 9, "lr": 2}, {"name": "new"}]},
        "loggers": ["csv"],
    }


def test_a_base_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: No such file"):
        read_yaml(written(tmp_path, own="base: none.yaml"))
    with pytest.raises(ConfigError, match=r"one.yaml: base: is circular"):
        read_yaml(
            written(tmp_path, one="base: two.yaml", two="base: one.yaml", top="base: one.yaml")
        )
    with pytest.raises(ConfigError, match=r"own.yaml: base: expected the name of a file, found \["):
        read_yaml(written(tmp_path, own="base: [a, b]"))


def test_an_unknown_key_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as error:
        only_keys({"sed": 1}, ["seed", "task"], "")
    assert str(error.value) == "sed: no such option; did you mean 'seed'? choices: seed, task"
