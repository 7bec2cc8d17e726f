"""The public Python interface: load, sing, vocode, list, build; types and examples of its modules."""

from __future__ import annotations

import base64
import configparser
import doctest
import importlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import voicediff
from voicediff import examples, experiment
from voicediff.audio import log_mel
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import read_config
from voicediff.inference import results
from voicediff.music import Note, Score

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
TYPED = [file.strip() for file in SETUP["mypy"]["files"].split(",")]
VOCODER = {"name": "vocoder", "vocoder": {"name": "vocos_source", "channels": 8, "layers": 1}}


def made(folder: Path, conf: Path) -> Path:
    """An experiment folder with random weights."""
    config = read_config(conf)
    weights = config.build_task().state_dict()
    experiment.create(folder, config, None)
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    return folder


@pytest.fixture(scope="module")
def singer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp") / "svs"
    return voicediff.load(made(folder, ROOT / "egs/csd/svs/conf/train_smoke.yaml"), device="cpu")


@pytest.fixture(scope="module")
def packed():
    return voicediff.load("singer", device="cpu")


@pytest.fixture
def score():
    return Score(
        (Note(0.1, 0.4, 60, "나"), Note(0.4, 0.7, 62, "비"), Note(2.0, 2.3, 64, "야")), 2.5
    )


def test_import_is_lazy():
    code = (
        "import sys, voicediff; voicediff.__version__\n"
        "print(sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)), len(dir(voicediff)) > 15)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[] True\n", done.stderr


def test_every_public_name_exists():
    for name in voicediff.__all__:
        assert getattr(voicediff, name) is not None
    assert voicediff.__version__ == SETUP["metadata"]["version"]
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        voicediff.laod  # noqa: B018


def test_a_packed_singer_is_loaded_by_name(packed):
    assert isinstance(packed, voicediff.Singer) and packed.sample_rate == 22050
    song = packed.sing(examples.MUSICXML, steps=0, tempo=4.0)
    assert song.seconds == pytest.approx(13.19 / 4, abs=0.05)
    assert np.abs(song.audio).max() > 0.05


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("separator", "no separator is part of voicediff yet; give an experiment folder"),
        ("sinegr", "neither a packed model (singer) nor an experiment folder"),
    ],
)
def test_unknown_models_are_one_line(name, message):
    with pytest.raises(ConfigError) as found:
        voicediff.load(name)
    assert message in str(found.value) and "\n" not in str(found.value)


def test_a_folder_without_a_configuration_is_no_model(tmp_path):
    with pytest.raises(DataError, match="not an experiment folder"):
        voicediff.load(tmp_path)


def test_a_song_has_sound_mel_f0_and_notes_of_the_score(singer, score):
    song = singer.sing(score, steps=1, seed=3, transpose=2)
    spec = singer.task.mel
    frames = round(2.5 * spec.frame_rate)
    assert song.audio.shape == (round(2.5 * spec.sample_rate),) and song.audio.dtype == np.float32
    assert song.mel.shape == (spec.n_mels, frames) and song.f0.shape == (frames,)
    assert [note.pitch for note in song.notes] == [62, 64, 66]
    rest = slice(round(1.2 * spec.frame_rate), round(1.6 * spec.frame_rate))
    assert (song.mel[:, rest] == np.float32(np.log(spec.floor))).all() and not song.f0[rest].any()
    sung = slice(round(0.2 * spec.frame_rate), round(0.6 * spec.frame_rate))
    assert (song.f0[sung] > 0).any() and np.ptp(song.mel[:, sung]) > 0


def test_the_seed_decides_the_song_and_streaming_is_the_same(singer, score):
    one, again, other = (singer.sing(score, steps=1, seed=s).audio for s in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    pieces = list(singer.stream(score, steps=1, seed=3))
    assert len(pieces) > 2 and np.array_equal(np.concatenate(pieces), one)


def test_a_sampler_is_a_name_or_a_specification(singer, score):
    named = singer.sing(score, sampler="euler", steps=2)
    spelled = singer.sing(score, sampler={"name": "euler", "steps": 2})
    assert np.array_equal(named.audio, spelled.audio)
    with pytest.raises(ConfigError, match="did you mean 'euler'"):
        singer.sing(score, sampler="eulr")
    with pytest.raises(ConfigError, match="steps: expected 0 or more, found -1"):
        singer.sing(score, steps=-1)


def test_a_part_is_kept_or_replaced(singer, score, tmp_path):
    first = singer.sing(score, steps=0)
    take = voicediff.Take(first.save(tmp_path / "take.wav"), 0.0, 1.0)
    kept = singer.sing(score, steps=1, seed=5, keep=take)
    half = slice(0, round(0.9 * singer.sample_rate))
    gain = 0.999 / max(np.abs(first.audio).max(), 0.999)
    np.testing.assert_allclose(kept.audio[half], gain * first.audio[half], atol=1e-3)
    with pytest.raises(ConfigError, match="keep and replace: give one of them"):
        singer.sing(score, keep=take, replace=take)


def test_notes_outside_the_range_are_warned_of(packed):
    high = packed.pitch_range[1]
    outside = Score((Note(0.0, 0.3, high + 2, "나"),), 0.4)
    (line,) = packed.sing(outside, steps=0).warnings
    assert "1 of 1 notes are outside" in line and "transposing by -2 semitones moves all" in line
    assert packed.sing(outside, steps=0, transpose=-2).warnings == ()


def decoded(page: str) -> tuple[np.ndarray, int]:
    """The sound of a player."""
    data = page.partition("data:audio/wav;base64,")[2].partition('"')[0]
    return soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")


def test_a_song_is_saved_and_shown_alike(singer, score, tmp_path):
    song = singer.sing(score, steps=0)
    song.audio *= 3 / np.abs(song.audio).max()  # must be turned down
    saved, rate = soundfile.read(song.save(tmp_path / "song.wav"), dtype="float32")
    shown, same_rate = decoded(song._repr_html_())
    assert rate == same_rate == song.sample_rate and np.array_equal(saved, shown)
    assert np.abs(saved).max() == pytest.approx(0.999, abs=1e-3)


def test_a_song_shows_a_picture_where_matplotlib_is_installed(singer, score, monkeypatch):
    song = singer.sing(score, steps=0)
    song.warnings = ("<b>low</b>",)
    page = song._repr_html_()
    image = page.partition("data:image/png;base64,")[2].partition('"')[0]
    assert base64.b64decode(image) == song.picture() and song.picture()[1:4] == b"PNG"
    assert "&lt;b&gt;low&lt;/b&gt;" in page and "<b>" not in page
    monkeypatch.setattr(results.importlib.util, "find_spec", lambda name: None)
    assert "<audio" in song._repr_html_() and "<img" not in song._repr_html_()


def test_a_vocoder_takes_mels_and_recordings(tmp_path):
    conf = tmp_path / "conf.yaml"
    conf.write_text(f"task: {VOCODER}\n", encoding="utf-8")
    vocoder = voicediff.load(made(tmp_path / "vocoder", conf), device="cpu")
    assert isinstance(vocoder, voicediff.Vocoder) and vocoder.title == "vocoder"
    mel = np.full((vocoder.spec.n_mels, 20), -5.0, np.float32)
    sound = vocoder(mel, np.full(20, 200.0))
    assert sound.audio.shape == (20 * vocoder.spec.hop,) and "<audio" in sound._repr_html_()
    with pytest.raises(DataError, match="needs F0"):
        vocoder(mel)
    with pytest.raises(DataError, match="F0 \\(19,\\) for 20 frames"):
        vocoder(mel, np.full(19, 200.0))


def test_copy_synthesis_keeps_the_mel(tmp_path):
    vocoder = voicediff.Vocoder.load("griffin_lim")
    time = np.arange(vocoder.sample_rate // 2) / vocoder.sample_rate
    wav = sum(0.1 * np.sin(2 * np.pi * 220 * k * time) for k in (1, 2, 3)).astype(np.float32)
    path = results.Sound(wav, vocoder.sample_rate).save(tmp_path / "in.wav")
    copied = vocoder(path)
    torch = importlib.import_module("torch")
    mels = [log_mel(torch.from_numpy(x), vocoder.spec).numpy() for x in (wav, copied.audio)]
    loud = mels[0] > -4
    frames = min(mels[0].shape[1], mels[1].shape[1])
    error = np.abs(mels[0][:, :frames] - mels[1][:, :frames])[loud[:, :frames]]
    assert loud.any() and error.mean() < 0.3


def test_parts_are_listed_and_built():
    parts = voicediff.list_parts("sampler")
    assert {"euler", "heun"} <= set(parts) and all(parts.values())
    assert voicediff.build("sampler", {"name": "heun", "steps": 8}).steps == 8
    with pytest.raises(ConfigError, match="no kind of part 'smapler'; did you mean 'sampler'"):
        voicediff.list_parts("smapler")


@pytest.mark.parametrize("file", TYPED)
def test_examples_in_docstrings(file):
    name = ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_public_modules_are_typed():
    api = pytest.importorskip("mypy.api")
    assert (ROOT / "voicediff/py.typed").is_file()
    arguments = ["--config-file", str(ROOT / "setup.cfg"), "--cache-dir", str(ROOT / ".mypy_cache")]
    report, _, status = api.run([*arguments, *(str(ROOT / file) for file in TYPED)])
    assert status == 0, report


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    page = re.sub(r"<!-- not run .*?-->\n```python.*?```", "", page, flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.S)), {})
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav", "low.wav", "copy.wav"}
    assert "Song(1.20 s, 22050 Hz, 2 notes)" in capsys.readouterr().out
