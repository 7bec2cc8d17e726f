"""The registry: what is refused, and in which words."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from voicediff import registry
from voicediff.config import plain
from voicediff.errors import ConfigError
from voicediff.registry import Spec, build, entries, import_parts, read_options, register


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    """A registry without built-in parts; the parts that a test registers are removed afterwards."""
    monkeypatch.setattr(registry, "_table", {})
    monkeypatch.setattr(registry, "_plugins_loaded", [True])
    monkeypatch.setattr(registry, "_own_modules", lambda kind: {})


@dataclass
class Size:
    width: int = 3
    height: float = 2.0


@pytest.fixture
def parts():
    @register("encoder", "inner")
    class Inner:
        """An inner part.

        More of it.
        """

        def __init__(self, depth: int = 2, channels: int = 1):
            self.depth, self.channels = depth, channels

    @register("encoder", "outer")
    class Outer:
        """An outer part."""

        def __init__(
            self,
            rate: float,
            mode: Literal["near", "far"] = "near",
            inner: Spec = {"name": "inner"},  # noqa: B006
            others: dict[str, Spec] = {},  # noqa: B006
            size: Size = Size(),
            window: tuple[int, int] = (1, 2),
            names: list[str] = [],  # noqa: B006
            limit: float | None = None,
            folder: Path | None = None,
        ):
            self.__dict__.update(locals())
            self.inner = build("encoder", inner, channels=7)
            self.others = {name: build("encoder", spec) for name, spec in others.items()}


def outer(**options):
    return build("encoder", {"name": "outer", "rate": 1.0} | options, at="task.text")


def complaint(**options) -> str:
    with pytest.raises(ConfigError) as error:
        outer(**options)
    return str(error.value)


def test_a_part_is_built_from_its_options(parts):
    made = outer(rate=2, inner={"name": "inner", "depth": 5}, size={"width": 9}, window=[3, 4])
    assert (made.rate, type(made.rate)) == (2.0, float)
    assert (made.inner.depth, made.inner.channels) == (5, 7)
    assert made.size == Size(9, 2.0)
    assert made.window == (3, 4)


def test_an_entry_has_its_summary_and_options(parts):
    entry = entries("encoder")["inner"]
    assert entry.summary == "An inner part."
    assert list(entry.options) == ["depth", "channels"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rat": 1}, "task.text.rat: no such option of encoder 'outer'; did you mean 'rate'?"),
        ({"rate": "x"}, "task.text.rate: expected float, found 'x' (str)"),
        ({"rate": True}, "task.text.rate: expected float, found True (bool)"),
        ({"rate": None}, "task.text.rate: expected float, found None (NoneType)"),
        ({"mode": "nea"}, "task.text.mode: no choice 'nea'; did you mean 'near'?"),
        ({"inner": "inner"}, "task.text.inner: expected a part like {name: ...}, found 'inner'"),
        (
            {"inner": {"name": "iner"}},
            "task.text.inner.name: no encoder 'iner'; did you mean 'inner'?",
        ),
        ({"inner": {}}, "task.text.inner.name: missing; a encoder is one of inner, outer"),
        (
            {"inner": {"name": "inner", "channels": 3}},
            "task.text.inner.channels: is set by the enclosing part; remove it here",
        ),
        (
            {"others": {"a": {"name": "inner", "dept": 3}}},
            "task.text.others.a.dept: no such option of encoder 'inner'; did you mean 'depth'?",
        ),
        (
            {"size": {"widht": 1}},
            "task.text.size.widht: no such option of size; did you mean 'width'?",
        ),
        ({"size": {"width": 1.5}}, "task.text.size.width: expected int, found 1.5 (float)"),
        ({"size": 3}, "task.text.size: expected Size, found 3 (int)"),
        ({"window": [1]}, "task.text.window: expected tuple[int, int], found [1] (list)"),
        ({"window": [1, "b"]}, "task.text.window[1]: expected int, found 'b' (str)"),
        ({"names": "abc"}, "task.text.names: expected list[str], found 'abc' (str)"),
        ({"limit": "x"}, "task.text.limit: expected float | None, found 'x' (str)"),
    ],
)
def test_a_mistake_is_named_with_its_place(parts, options, message):
    assert complaint(**options).startswith(message)


def test_a_missing_option_is_named_with_its_type(parts):
    with pytest.raises(ConfigError) as error:
        build("encoder", {"name": "outer"}, at="here")
    assert str(error.value) == "here.rate: missing; encoder 'outer' needs it (float)"


def test_the_choices_are_listed(parts):
    assert complaint(mode="zzz").endswith("; choices: near, far")
    assert complaint(inner={"name": "zzz"}).endswith("; choices: inner, outer")


def test_building_adds_the_defaults_to_the_spec(parts):
    spec = Spec({"name": "outer", "rate": 1, "others": {"a": {"name": "inner"}}}, "task")
    build("encoder", spec)
    assert plain(spec) == {
        "name": "outer",
        "rate": 1.0,
        "mode": "near",
        "inner": {"name": "inner", "depth": 2},
        "others": {"a": {"name": "inner", "depth": 2, "channels": 1}},
        "size": {"width": 3, "height": 2.0},
        "window": [1, 2],
        "names": [],
        "limit": None,
        "folder": None,
    }


def test_the_completed_spec_builds_the_same_again(parts):
    spec = Spec({"name": "outer", "rate": 1}, "task")
    build("encoder", spec)
    again = Spec(plain(spec), "task")
    build("encoder", again)
    assert plain(again) == plain(spec)


def test_two_parts_of_the_same_default_do_not_share_it(parts):
    one, two = outer(), outer()
    one.names.append("x")
    one.others["y"] = None
    assert two.names == [] and two.others == {}


def test_a_section_is_read_into_a_dataclass():
    @dataclass
    class Section:
        size: Size = field(default_factory=Size)
        parts: list[Spec] = field(default_factory=list)

    section = read_options(Section, {"size": {"height": 4}, "parts": [{"name": "a"}]}, "training")
    assert section.size == Size(3, 4.0)
    assert section.parts[0].at == "training.parts[0]"
    with pytest.raises(
        ConfigError, match=r"^training\.sise: no such option of training; did you mean 'size'"
    ):
        read_options(Section, {"sise": {}}, "training")


def test_a_name_in_use_is_refused_with_its_owner(parts):
    with pytest.raises(ConfigError, match=r"encoder 'inner' is already registered by .*\.Inner$"):

        @register("encoder", "inner")
        class Other:
            pass


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"^register: no kind 'samplr'; did you mean 'sampler'"):
        register("samplr", "x")
    with pytest.raises(ConfigError, match=r"^no kind of part 'samplr'; did you mean 'sampler'"):
        entries("samplr")


def test_a_name_of_the_package_is_refused_before_its_module_is_imported(monkeypatch):
    monkeypatch.setattr(
        registry, "_own_modules", lambda kind: {"heun": "voicediff.diffusion.samplers.heun"}
    )
    with pytest.raises(
        ConfigError, match=r"'heun' is already registered by voicediff\.diffusion\.samplers\.heun$"
    ):

        @register("sampler", "heun")
        class Heun:
            pass


def test_a_constructor_with_open_options_is_refused():
    with pytest.raises(ConfigError, match=r"a registered constructor names every option$"):

        @register("encoder", "open")
        class Open:
            def __init__(self, **options):
                pass


def test_a_part_in_a_file_next_to_the_configuration_is_registered(tmp_path):
    file = tmp_path / "our_own_parts.py"
    file.write_text(
        "from voicediff.registry import register\n"
        "@register('sampler', 'ours')\nclass Ours:\n    '''Ours.'''\n"
    )
    assert import_parts(["our_own_parts.py"], tmp_path) == [file]
    assert entries("sampler")["ours"].origin == "our_own_parts.Ours"
    assert import_parts(["our_own_parts"], tmp_path) == [file]


def test_a_broken_file_of_parts_names_its_line(tmp_path):
    (tmp_path / "broken_parts.py").write_text("x = 1\ny = x / 0\n")
    with pytest.raises(ConfigError, match=r"broken_parts\.py:2: ZeroDivisionError: "):
        import_parts(["broken_parts.py"], tmp_path)
    (tmp_path / "unread_parts.py").write_text("x = (\n")
    with pytest.raises(ConfigError, match=r"unread_parts\.py:1: SyntaxError: "):
        import_parts(["unread_parts.py"], tmp_path)


def test_a_missing_module_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"^import: cannot import 'my_lab\.none' "):
        import_parts(["my_lab.none"], tmp_path)
    with pytest.raises(ConfigError, match=r"^import: no file .*none\.py$"):
        import_parts(["none.py"], tmp_path)


def test_a_file_cannot_take_the_name_of_a_library(tmp_path):
    (tmp_path / "enum.py").write_text("")
    with pytest.raises(ConfigError, match="a module 'enum' already exists; rename the file"):
        import_parts(["enum.py"], tmp_path)
    assert enum.Enum
