"""`voicediff report` on a small model with random weights: repeatable, resumable, and applied."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from voicediff import experiment
from voicediff.bin import report as program
from voicediff.bin.main import main
from voicediff.errors import ConfigError
from voicediff.files import write_json
from voicediff.music.score import Note, Score
from voicediff.report.chart import front
from voicediff.report.measurement_log import MeasurementLog
from voicediff.report.nfe import Judged, Measured, recommend
from voicediff.report.settings import Setting, settings
from voicediff.report.singing_metrics import SPECTRUM

CONF = Path(__file__).parents[2] / "egs" / "csd" / "svs" / "conf" / "train_smoke.yaml"
OPTIONS = ("--samplers", "dpm_solver,heun", "--grids", "karras,log_snr", "--nfe", "1,3")
COLUMNS = {column.key: column for column in SPECTRUM}
BY = Judged(COLUMNS["frechet"], COLUMNS["variance_ratio"])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A model, and features of two lines."""
    place = tmp_path_factory.mktemp("report")
    config = experiment.read_config(CONF)
    weights = config.build_task().state_dict()
    folder = place / "exp"
    experiment.create(folder, config, None)
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    rng, entries = np.random.default_rng(0), []
    (place / "dev").mkdir()
    for i in range(2):
        utt, frames = f"line{i}", 40 + 8 * i
        score = Score((Note(0.05, 0.4, 60 + i, "나"),), frames * 256 / 22050)
        mel = rng.normal(-5, 2, (80, frames)).astype(np.float16)
        f0 = np.full(frames, 262.0, np.float32)
        np.savez(place / "dev" / f"{utt}.npz", mel=mel, f0=f0)
        entries.append({"utt": utt, "frames": frames, "path": f"{utt}.npz"})
        entries[-1]["score"] = score.to_dict()
    write_json(place / "dev" / "index.json", {"mel": "", "utterances": entries})
    return place


@pytest.fixture
def place(source):
    for path in (source / "exp" / "report").glob("*"):
        path.unlink()
    return source


def report(place, *options):
    words = ("report", "--model", place / "exp", "--data", place / "dev", "--device", "cpu")
    return main([str(word) for word in (*words, *(options or OPTIONS))])


def test_the_same_data_and_seed_give_the_same_bytes_also_when_resumed(place, monkeypatch):
    folder = place / "exp" / "report"
    assert report(place) == 0
    first = (folder / "nfe.json").read_bytes()
    lines = (folder / "work.jsonl").read_text().splitlines(keepends=True)
    (folder / "work.jsonl").write_text("".join(lines[:3]) + lines[3][:20])  # killed in a line
    sung = []
    sing = program.SingingMeasurement._sing

    def counted(self, sampler):
        sung.append(sampler)
        return sing(self, sampler)

    monkeypatch.setattr(program.SingingMeasurement, "_sing", counted)
    assert report(place) == 0
    assert (folder / "nfe.json").read_bytes() == first
    assert len(sung) == len(lines) - 3
    assert report(place) == 0
    assert len(sung) == len(lines) - 3
    assert report(place, *OPTIONS, "--seed", "1") == 0
    assert (folder / "nfe.json").read_bytes() != first


def test_the_table_is_well_formed_and_the_recommendation_is_applied(place):
    assert report(place) == 0
    folder = place / "exp" / "report"
    text = (folder / "REPORT.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    content = json.loads((folder / "nfe.json").read_text())
    assert len({len(re.split(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(rows) == 2 + 1 + len(content["settings"])
    assert "harmonic contrast" not in text and "Fréchet distance ↓" in text
    assert json.loads((folder / "speed.json").read_text()).keys() == {
        f"{s['sampler']}/{s['grid']}/{s['calls']}" for s in content["settings"]
    }
    assert (folder / "pareto.png").read_bytes()[:4] == b"\x89PNG"
    loaded = experiment.load(place / "exp")
    (best,) = (
        s["spec"]
        for s in content["settings"]
        if f"{s['sampler']}/{s['grid']}/{s['calls']}" == content["recommended"]
    )
    assert loaded.sampler == best and loaded.recommended == folder / "recommended.yaml"
    assert loaded.config.sampler["name"] == "dpm_solver"
    (folder / "recommended.yaml").unlink()
    assert experiment.load(place / "exp").recommended is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--samplers", "huen"), "no sampler 'huen'; did you mean 'heun'"),
        (("--samplers", "rk45"), "--samplers: rk45 has adaptive steps"),
        (("--grids", "cubic"), "no grid 'cubic'"),
        (("--nfe", "4,x"), "--nfe: expected numbers"),
        (("--items", "0"), "--items: expected 1 or more, found 0"),
        (("--margin", "-1"), "--margin: expected 0 or more"),
        (("--vocoder", "none"), "no vocoder 'none'"),
    ],
)
def test_bad_options_are_one_line_errors(place, capsys, options, words):
    assert report(place, *options) == 2
    (line,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("voicediff"))
    assert words in line
    assert not (place / "exp" / "report" / "REPORT.md").exists()


def test_settings_keep_to_the_nfe_and_are_distinct():
    found = settings(["heun", "euler"], [], (1, 2, 4))
    assert all(setting.nfe in (1, 2, 3, 4) for setting in found)
    assert len({setting.key for setting in found}) == len(found)
    assert [s.nfe for s in found if s.sampler == "heun"].count(1) == 1
    names = {setting.sampler for setting in settings()}
    assert "rk45" not in names and {"heun", "dpm_solver", "unipc"} <= names
    own = {"name": "heun", "steps": 9, "grid": {"name": "karras", "rho": 5.0}, "close": "none"}
    (kept,) = settings(["heun"], ["karras"], (4,), own)
    assert kept.spec == {**own, "steps": 2}


def measured(nfe, frechet, variance):
    return Measured(
        Setting("heun", "karras", nfe, {}), {"frechet": frechet, "variance_ratio": variance}
    )


def test_the_smallest_nfe_with_variance_in_range_and_quality_within_the_margin_is_recommended():
    found = [
        measured(1, 2.01, 0.5),
        measured(2, 2.2, 1.0),
        measured(4, 2.05, 1.1),
        measured(8, 2.0, 0.9),
        measured(16, None, None),
    ]
    assert recommend(found, BY, 0.05).found.setting.nfe == 4
    assert recommend(found, BY, 0.0).found.setting.nfe == 8
    over_smoothed = recommend(found[:1], BY, 0.05)
    assert over_smoothed.found.setting.nfe == 1 and "although no setting" in over_smoothed.reason
    assert recommend(found[4:], BY, 0.05) is None


def test_pareto_front_holds_the_undominated_points():
    assert front([(4, 1.0), (1, 3.0), (2, 3.5), (3, 2.0), (4, 0.9)]) == [
        (1, 3.0),
        (3, 2.0),
        (4, 0.9),
    ]


def test_results_with_other_facts_are_discarded(tmp_path):
    MeasurementLog(tmp_path / "work.jsonl", {"seed": 0}).add("a", {"scores": {"x": 0.1}})
    assert MeasurementLog(tmp_path / "work.jsonl", {"seed": 0}).done["a"]["scores"] == {"x": 0.1}
    assert MeasurementLog(tmp_path / "work.jsonl", {"seed": 1}).done == {}


def test_other_tasks_are_one_line_errors(place, capsys, monkeypatch):
    monkeypatch.setattr(program, "SingingSynthesis", ConfigError)
    assert report(place) == 2
    assert "report measures singing and separation, found task svs" in capsys.readouterr().err
