"""The recipe of separation, run whole as a new user would, on the smallest corpus and model."""

import json
import re

import pytest
from real_data import GRID, needs_grid
from recipe_room import ROOT, make_room, run

from voicediff.bin.main import main
from voicediff.config import read_yaml
from voicediff.data.separation.disturbed import CONDITIONS
from voicediff.data.separation.mixtures import read_list
from voicediff.data.separation.talks import read_prepared

AVSS = ROOT / "egs" / "lrs3" / "avss"
SMOKE = (
    *(
        "--minutes",
        "0.5",
        "--mixtures",
        "6",
        "--nj",
        "1",
        "--train-config",
        "conf/train_smoke.yaml",
    ),
    *("--nfe", "0,1", "--robustness-mixtures", "2", "--examples", "1"),
)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    return make_room(AVSS, tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def recipe(room):
    return room / AVSS.relative_to(ROOT)


@pytest.fixture(scope="module")
def finished(room, recipe):
    done = run(AVSS, *SMOKE, room=room)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done, recipe / "exp" / "train_smoke"


@pytest.mark.recipe
def test_separation_recipe_ends_with_voices_scores_robustness_and_a_page(finished):
    done, exp = finished
    separated = exp / "separate_own"
    scores = json.loads((separated / "scores.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in scores["rows"]}
    assert list(rows) == ["mixture", "mask_ratio", "mask_phase", "predictor", "nfe_1", "nfe_2"]
    assert rows["mask_ratio"]["scores"]["all"]["si_sdri"] > 5
    made = read_list(separated / "mixtures.json")
    assert scores["list"]["hash"] == made.hash and len(made.mixtures) == 6
    for row in ("truth", *rows):
        assert len(list((separated / row / "wav").glob("*.wav"))) == 12
    assert (separated / "index.html").stat().st_size > 10_000
    results = (separated / "RESULTS.md").read_text(encoding="utf-8")
    assert "## Robustness (predictor + generator, NFE 2, 2 mixtures)" in results
    for line in ("sounds:", "scores:", "page:"):
        assert line in done.stdout


@pytest.mark.recipe
def test_separation_in_two_jobs_gives_the_same_files(finished, recipe, tmp_path):
    dump = next((recipe / "dump").iterdir()) / "test"
    (tmp_path / "settings.yaml").write_text("nfe: [1]\nbatch: 2\nseed: 3\n", encoding="utf-8")
    words = ["decode-mixtures", "--model", finished[1], "--dump", dump]
    words += ["--inference-config", tmp_path / "settings.yaml"]

    def separate(out, *more):
        assert main([*map(str, words), "--out", str(tmp_path / out), *more]) == 0

    separate("one")
    for shard in ("2/2", "1/2"):
        separate("two", "--shard", shard)
    assert not (tmp_path / "two/mixtures.json").exists()
    separate("two")
    one, two = (
        {path.relative_to(tmp_path / out): path.read_bytes() for path in paths}
        for out in ("one", "two")
        for paths in [(tmp_path / out).rglob("*.wav")]
    )
    assert one == two and len(one) >= 10
    assert not (tmp_path / "two/parts").exists() and (tmp_path / "two/mixtures.json").is_file()
    info = json.loads((tmp_path / "two/nfe_1/info.json").read_text(encoding="utf-8"))
    assert info["seed"] == 3 and info["rtf"] > 0


@pytest.mark.recipe
def test_robustness_has_every_condition_and_each_track(finished):
    separated = finished[1] / "separate_own"
    found = json.loads((separated / "robustness.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in found["conditions"]] == [c.name for c in CONDITIONS]
    assert found["samples"] == 2 and found["nfe"] == 2 and found["mixtures"] == 2
    for row in found["conditions"]:
        kept = json.loads((separated / "robustness" / f"{row['name']}.json").read_text("utf-8"))
        gains = [track["si_sdri"] for track in kept["tracks"].values()]
        assert len(gains) == 4 and sum(gains) / 4 == pytest.approx(row["si_sdri"])
        assert all(0 <= track["confidence"] <= 1 for track in kept["tracks"].values())


@pytest.mark.recipe
def test_aligned_robustness_is_the_score_of_the_same_tracks(finished):
    separated = finished[1] / "separate_own"
    kept = json.loads((separated / "robustness" / "aligned.json").read_text(encoding="utf-8"))
    scores = json.loads((separated / "scores.json").read_text(encoding="utf-8"))
    own = next(row for row in scores["rows"] if row["row"] == "nfe_2")
    for name, track in kept["tracks"].items():
        assert track["si_sdri"] == pytest.approx(own["tracks"][name]["si_sdri"], abs=0.05)


@pytest.mark.recipe
def test_training_has_its_phases_by_name(finished):
    progress = finished[0].stderr
    assert all(f"{phase}: " in progress for phase in ("warmup", "predictor", "generator"))
    log = (finished[1] / "log.csv").read_text(encoding="utf-8")
    assert all(f",train,{turn}/loss," in log for turn in ("warmup", "predictor", "generator"))
    assert "si_sdri" in log and "predictor_si_sdri" in log


@pytest.mark.recipe
def test_repeating_the_recipe_does_nothing_again(finished, room, recipe):
    def stamps():
        files = [
            p for p in recipe.rglob("*") if p.suffix in (".wav", ".npz", ".mp4", ".safetensors")
        ]
        return {path: path.stat().st_mtime_ns for path in files}

    before = stamps()
    again = run(AVSS, *SMOKE, "--stop-stage=4", room=room)
    assert again.returncode == 0, again.stderr[-2000:]
    assert before == stamps() and again.stdout.count("done already") == 7


@pytest.mark.recipe
def test_mixtures_with_noise_have_a_folder_of_their_own(finished, room, recipe):
    usual = recipe / "data/mini_0.5min_seed1/lists"
    before = {path: path.read_bytes() for path in usual.rglob("*.json")}
    done = run(AVSS, *SMOKE, "--noise", "-15 0", "--stop-stage", "1", room=room)
    assert done.returncode == 0, done.stderr[-2000:]
    assert before and before == {path: path.read_bytes() for path in usual.rglob("*.json")}
    noisy = (
        recipe / "data/mini_0.5min_seed1_noise-15_0/lists" / next(iter(before)).relative_to(usual)
    )
    assert all(mixture.noise is not None for mixture in read_list(noisy).mixtures)


@pytest.mark.recipe
def test_printed_commands_can_be_pasted(finished):
    commands = re.findall(r"^\+ (.*)$", finished[0].stdout, re.M)
    assert len(commands) == 6 and all("$" not in command for command in commands)


@pytest.mark.recipe
def test_what_the_model_has_not_is_said(finished, recipe, tmp_path, capsys):
    dump = next((recipe / "dump").iterdir()) / "test"

    def robustness(*more):
        words = ("--model", finished[1], "--dump", dump, "--out", tmp_path, *more)
        assert main(["robustness", *map(str, words)]) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    assert "--samples: expected 1 or more, found 0" in robustness("--samples", 0)
    assert "--nfe: expected 0 or more, found -1" in robustness("--nfe", -1)
    assert "no such list; there are: avdiffuss, lrs3-2mix, own" in robustness("--list", "others")
    assert main(["robustness", "--model", str(tmp_path), "--dump", ".", "--out", "."]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stagee", "1"], "unknown option --stagee; options: --stage --stop-stage"),
        (["--robustness-mixtures", "few"], "--robustness-mixtures takes a number, found 'few'"),
        (["--grid-root", "nowhere"], "nowhere: no such folder"),
        (
            ["--grid-root", "here", "--lrs3-root", "there"],
            "one corpus at a time, found lrs3 and grid",
        ),
        (["--stage", "4", "--tag", "none"], "exp/none"),
    ],
)
def test_mistakes_are_said_in_one_line_with_exit_2(options, said, room, tmp_path):
    done = run(AVSS, *options, room=room, folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert said in line


def test_help_names_every_option_with_its_default(room):
    done = run(AVSS, "--help", room=room)
    assert done.returncode == 0
    for option in ("--grid-root DIR", "--clip2spk FILE", "--robustness-mixtures N", "--nfe LIST"):
        assert option in done.stdout
    assert "conf/train_mini.yaml" in done.stdout


@pytest.mark.recipe
@needs_grid
def test_real_clips_go_through_data_crops_and_training(room, recipe, tmp_path):
    (tmp_path / "clip2spk").write_text("id2_vcd_swwp2s man\npwij3p man\n", encoding="utf-8")
    (tmp_path / "splits").write_text("* train\nman test\n", encoding="utf-8")
    tables = ("--clip2spk", "clip2spk", "--splits", "splits")  # as the caller's folder has them
    config = ("--train-config", "conf/train_smoke.yaml", "--tag", "grid", "--nj", "1")
    few = " ".join(f"training.phases.{p}.steps=2" for p in ("warmup", "predictor", "generator"))
    options = (*tables, *config, "--grid-root", GRID, "--mixtures", "6", "--train-args", few)
    done = run(AVSS, *options, "--stop-stage", "3", room=room, folder=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    clips = {split: read_prepared(recipe / "dump/grid" / split) for split in ("train", "test")}
    assert len(clips["train"]) == 4 and len({c.entry.speaker for c in clips["train"].values()}) == 4
    assert {c.entry.speaker for c in clips["test"].values()} == {"man"}
    assert all(c.entry.frames == 75 for split in clips.values() for c in split.values())
    made = read_list(recipe / "dump/grid/test/lists/own.json")
    assert len(made.mixtures) == 6 and {m.pair for m in made.mixtures} == {"same-voice"}
    assert (recipe / "exp/grid/last.safetensors").is_file()
    assert read_yaml(recipe / "exp/grid/config.yaml")["task"]["name"] == "avss"
