"""`voicediff report` for separation: repeatable scores, and a recommendation that is applied."""

import json
import warnings

import numpy as np
import pytest

from voicediff import experiment
from voicediff.bin.main import main
from voicediff.config import dump_yaml
from voicediff.data.separation.clips import Clip, write_clip
from voicediff.data.separation.mixtures import PROTOCOLS, Drawer, Entry, draw_list
from voicediff.data.separation.talks import Prepared, write_prepared
from voicediff.report.chart import Points, front, scatter
from voicediff.report.nfe import Judged, Measured, recommend
from voicediff.report.settings import Setting
from voicediff.report.table import Column

FRAMES = 51
NETWORK = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []}
CONFIG = {
    "task": {
        "name": "avss",
        "stft": {"n_fft": 126, "hop": 64},
        "encoders": {"lips": {"name": "lip_stacks", "dim": 8, "channels": [4, 4], "layers": 1}},
        "predictor": {**NETWORK, "centred": False},
        "decoder": NETWORK,
        "sde": {"name": "ouve"},
        "objective": {"name": "data"},
    },
    "sampler": {"name": "ddim", "steps": 4},
    "training": {"phases": [{"name": "one", "targets": ["generator"], "steps": 1}]},
}


def speech_like(draw):
    """Noise with a syllable-rate envelope, as ESTOI and PESQ need."""
    t = np.arange(FRAMES * 640) / 16000
    return (3000 * draw.standard_normal(len(t)) * (1 + np.sin(2 * np.pi * 4 * t))).astype(np.int16)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model with random weights, and a mixture."""
    place = tmp_path_factory.mktemp("separation")
    clips, draw = [], np.random.default_rng(0)
    for number, gender in enumerate("mmff"):
        mouth = draw.integers(0, 255, (FRAMES, 96, 96)).astype(np.uint8)
        face = draw.integers(0, 255, (224, 224, 3)).astype(np.uint8)
        clip = Clip(speech_like(draw), mouth, np.ones(FRAMES, bool), face)
        path = place / "dev" / "clips" / f"clip{number}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, clip)
        clips.append(Prepared(Entry(f"clip{number}", f"person{number}", gender, FRAMES), path))
    write_prepared(place / "dev", clips)
    drawer = Drawer([clip.entry for clip in clips], PROTOCOLS["own"])
    draw_list(drawer, "own", "dev", 1, seed=1).write(place / "dev" / "lists" / "own.json")
    (place / "conf.yaml").write_text(dump_yaml(CONFIG))
    config = experiment.read_config(place / "conf.yaml")
    weights = config.build_task().state_dict()
    folder = place / "exp"
    experiment.create(folder, config, None)
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    return place


def report(place, *options):
    words = ["report", "--model", place / "exp", "--data", place / "dev", "--device", "cpu"]
    samplers = ["--samplers", "ddim,predictor_corrector", "--grids", "uniform", "--nfe", "1,2"]
    return main([str(word) for word in (*words, *samplers, *options)])


def test_the_same_data_and_seed_give_the_same_bytes_and_the_recommendation_is_used(place):
    folder = place / "exp" / "report"
    assert report(place) == 0
    first = (folder / "nfe.json").read_bytes()
    (folder / "work.jsonl").unlink()
    assert report(place) == 0
    assert (folder / "nfe.json").read_bytes() == first
    content = json.loads(first)
    assert set(content["references"]) == {"mixture", "predictor"}
    assert content["references"]["mixture"]["si_sdri"] == 0
    for row in content["settings"]:
        assert {"si_sdri", "estoi", "selected"} <= set(row["scores"])
    assert [row["calls"] for row in content["settings"]] == [1, 2, 2]
    best = max(content["settings"], key=lambda row: row["scores"]["si_sdri"])
    assert (folder / "pareto.png").read_bytes()[:4] == b"\x89PNG"
    assert "SI-SDRi (dB) ↑" in (folder / "REPORT.md").read_text(encoding="utf-8")
    loaded = experiment.load(place / "exp")
    assert loaded.recommended and loaded.sampler["name"] in ("ddim", "predictor_corrector")
    assert report(place, "--margin", "0") == 0
    assert experiment.load(place / "exp").sampler == best["spec"]


def test_another_metric_may_decide(place, capsys):
    assert report(place, "--metric", "estoi", "--margin", "0") == 0
    content = json.loads((place / "exp" / "report" / "nfe.json").read_text())
    best = max(content["settings"], key=lambda row: row["scores"]["estoi"])
    assert experiment.load(place / "exp").sampler == best["spec"]
    assert report(place, "--metric", "mcd") == 2
    assert "--metric: no metric 'mcd'; choices: si_sdri, estoi" in capsys.readouterr().err


def test_a_missing_list_is_a_one_line_error(place, capsys):
    assert report(place, "--list", "other") == 2
    assert "no such list; there are: own" in capsys.readouterr().err


def test_higher_is_better_also_below_zero():
    def measured(nfe, ratio):
        return Measured(Setting("ddim", "uniform", nfe, {}), {"si_sdri": ratio})

    by = Judged(Column("si_sdri", "SI-SDRi", "dB", "higher"))
    rising = [measured(1, 5.0), measured(2, 5.9), measured(4, 6.0)]
    assert recommend(rising, by, 0.05).found.setting.nfe == 2
    falling = [measured(1, -2.0), measured(2, -1.0), measured(4, -1.01)]
    assert recommend(falling, by, 0.05).found.setting.nfe == 2
    below = Points("NFE", {"ddim": [(1, -2.0), (2, -3.0)]})
    with warnings.catch_warnings():  # a logarithmic axis would warn, and show nothing
        warnings.simplefilter("error")
        assert scatter([below], "minus SI-SDR", [None]).data[:4] == b"\x89PNG"
    assert front([(1, 3.0), (2, 2.0), (4, 5.0)], higher=True) == [(1, 3.0), (4, 5.0)]
