"""The recipes, run whole as a new user would, on the smallest corpus and model."""

import json
import re

import numpy as np
import pytest
from recipe_room import ROOT, make_room, run

from voicediff.bin.main import main
from voicediff.config import dump_yaml, read_yaml

SVS = ROOT / "egs" / "csd" / "svs"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return make_room(SVS, tmp_path_factory.mktemp("room"))


SMOKE = ("--minutes", "1.5", "--train-config", "conf/train_smoke.yaml", "--nj", "1", "--nfe", "0,2")


@pytest.fixture(scope="module")
def finished(room):
    done = run(SVS, *SMOKE, room=room)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done, room / SVS.relative_to(ROOT) / "exp" / "train_smoke"


@pytest.mark.recipe
def test_singing_recipe_ends_with_songs_scores_and_a_page(finished):
    done, exp = finished
    decoded = exp / "decode_griffin_lim"
    scores = json.loads((decoded / "scores.json").read_text(encoding="utf-8"))
    assert {"natural", "copy", "mu", "nfe_2"} <= {row["row"] for row in scores["rows"]}
    assert list((decoded / "songs").glob("*/generated.wav"))
    assert (decoded / "index.html").stat().st_size > 10_000
    for line in ("songs:", "scores:", "page:"):
        assert line in done.stdout


@pytest.mark.recipe
def test_printed_commands_can_be_pasted(finished):
    done, _ = finished
    commands = re.findall(r"^\+ (.*)$", done.stdout, re.M)
    assert len(commands) >= 5 and all("$" not in command for command in commands)


@pytest.mark.recipe
def test_repeating_the_recipe_does_nothing_again(finished, room):
    _, exp = finished
    before = {path: path.stat().st_mtime_ns for path in exp.rglob("*.safetensors")}
    again = run(SVS, *SMOKE, "--stop-stage=4", room=room)
    assert again.returncode == 0, again.stderr[-2000:]
    assert before == {path: path.stat().st_mtime_ns for path in exp.rglob("*.safetensors")}
    assert "done already" in again.stdout


@pytest.mark.recipe
def test_decoding_in_two_jobs_gives_the_same_files(finished, tmp_path):
    _, exp = finished
    recipe = exp.parents[1]
    (data,) = (recipe / "data").glob("mini*")
    (dump,) = (recipe / "dump").glob("mini*/*/test")
    words = ["decode", "--model", exp, "--data", data / "test", "--dump", dump, "--compare", ""]
    words += ["--vocoder", "harmonic", "--songs", "1", "--batch-seconds", "8"]
    words += ["--inference-args", "sampler=heun steps=1 noise_scale=0.9"]

    def decode(out, *more):
        assert main([*map(str, words), "--out", str(tmp_path / out), *more]) == 0

    decode("one")
    for shard in ("2/2", "1/2"):
        decode("two", "--shard", shard)
    assert not (tmp_path / "two/mu").exists()
    decode("two")
    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    assert one == two and any(name.startswith("nfe_1/mel/") for name in one)
    info = json.loads((tmp_path / "two/nfe_1/info.json").read_text(encoding="utf-8"))
    assert info["sampler"] == {"name": "heun", "steps": 1} and info["noise_scale"] == 0.9
    assert info["seconds"] > 1 and info["rtf_network"] > 0


def contents(folder):
    """Bytes of all sounds and mels below a folder, by relative path."""
    files = [path for path in folder.rglob("*") if path.suffix in (".wav", ".npy")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.recipe
def test_the_best_of_several_vocoders_sings_and_all_stand_on_the_page(finished, room):
    _, exp = finished
    conf = room / SVS.relative_to(ROOT) / "conf"
    for name in ("train_vocoder_mini", "finetune_vocoder_mini"):
        content = read_yaml(conf / f"{name}.yaml")
        content["task"]["vocoder"] |= {"channels": 8, "layers": 1}
        content["training"] |= {"previews": 1, "validation_items": 2}
        content["training"]["phases"][0] |= {"steps": 2, "batch_size": 2}
        (conf / f"{name}_tiny.yaml").write_text(dump_yaml(content))
    options = ["--stage=3", "--vocoder=auto", "--vocoder-config=conf/train_vocoder_mini_tiny.yaml"]
    options += ["--vocoder-finetune=conf/finetune_vocoder_mini_tiny.yaml"]
    done = run(SVS, *SMOKE, *options, room=room)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    kept = read_yaml(exp / "vocoder.yaml")
    assert kept["vocoder"] in {"griffin_lim", "harmonic", "neural"}
    trained = {"train_vocoder_mini_tiny", "train_smoke.vocoder"}
    assert set(kept["measured"]) == {"griffin_lim", "harmonic"} | trained
    scores = json.loads((exp / "decode_best/scores.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in scores["rows"]}
    beside = {"griffin_lim", "harmonic", "neural"} & {
        name.removeprefix("copy_") for name in rows if name.startswith("copy_")
    }
    assert len(beside) >= 1 and rows["copy"]["vocoder"] == kept["vocoder"]
    assert all(f"nfe_2_{name}" in rows for name in beside)
    mels = list((exp.parents[1] / "dump").rglob("mels_train_smoke/*.npy"))
    assert mels and np.load(mels[0]).shape[0] == 80
    page = (exp / "decode_best/index.html").read_text(encoding="utf-8")
    assert all(f"copy synthesis, {name}" in page for name in beside)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stagee", "1"], "unknown option --stagee; options: --stage --stop-stage"),
        (["--stage"], "--stage needs a value"),
        (["--stage", "one"], "take numbers, found 'one'"),
        (["now"], "unexpected argument 'now'"),
    ],
)
def test_mistaken_options_are_said_with_exit_2(options, said, room):
    done = run(SVS, *options, room=room)
    assert done.returncode == 2 and said in done.stderr


def test_help_names_every_option_with_its_default(room):
    done = run(SVS, "--help", room=room)
    assert done.returncode == 0
    for option in ("--stage N", "--stop-stage N", "--ngpu N", "--nj N", "--num-nodes N", "--tag"):
        assert option in done.stdout
