"""Corpus layouts, data folders and the two data stages of the separation recipe."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("cv2")
from real_data import GRID, needs_grid

from voicediff.data.separation.clips import read_clip
from voicediff.data.separation.layouts import assigned, read_grid, read_lrs3, read_vox2
from voicediff.data.separation.mixtures import PROTOCOLS, SAME_VOICE, Drawer, mix, read_list
from voicediff.data.separation.talks import entries_of, extract, prepare, read_prepared
from voicediff.data.tables import read_table, write_table
from voicediff.errors import ConfigError, DataError

ROOT = Path(__file__).parents[3]


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("Text:  SOME WORDS\nConf:  3\n" if name.endswith("txt") else "")


def lrs3(root, speakers=30):
    for part in ("pretrain", "trainval", "test"):
        for number in range(speakers):
            name = f"{part}/{'test' if part == 'test' else 'spk'}{number}/00001"
            touch(root, f"{name}.mp4", f"{name}.txt")
    return root


def test_lrs3_is_read_with_speakers_in_one_split_each(tmp_path):
    talks, problems = read_lrs3(lrs3(tmp_path), dev_share=0.1)
    assert not problems and len(talks) == 90
    by_split = {
        split: {t.speaker for t in talks if t.split == split} for split in ("train", "dev", "test")
    }
    assert [len(by_split[s]) for s in ("train", "dev", "test")] == [27, 3, 30]
    assert sum(t.split == "dev" for t in talks) == 6  # their pretrain clips too
    assert talks[0].text == "SOME WORDS" and {t.boxes for t in talks} == {"track"}


def test_lrs3_lists_every_problem_clip(tmp_path):
    lrs3(tmp_path, 3)
    (tmp_path / "trainval/spk1/00001.txt").unlink()
    touch(tmp_path, "test/loose.mp4", "test/spk0/00001.mp4", "test/spk0/00001.txt")
    talks, problems = read_lrs3(tmp_path, dev_share=0.0)
    said = sorted(str(p) for p in problems)
    assert len(said) == 4
    assert any("spk1/00001.mp4: has no 00001.txt" in line for line in said)
    assert any("loose.mp4: is not test/<speaker>/<clip>" in line for line in said)
    assert sum("its speaker spk0 is in the test set too" in line for line in said) == 2
    assert len(talks) + len(problems) == 11


def test_a_video_precedes_prepared_features_and_a_sidecar_is_found(tmp_path):
    lrs3(tmp_path, 1)
    touch(tmp_path, "test/test0/00001.npz", "test/test0/00001.boxes.json")
    talk = next(t for t in read_lrs3(tmp_path)[0] if t.split == "test")
    assert talk.video.suffix == ".mp4" and talk.boxes == "sidecar"


@pytest.mark.parametrize("sound", ["wav/{}.wav", "m4a/{}.m4a", "aac/{}.m4a"])
def test_voxceleb2_reads_audio_from_a_parallel_folder(tmp_path, sound):
    for part in ("dev", "test"):
        for number in range(10):
            clip = f"{part}{number}/abc/00001"
            touch(tmp_path, f"{part}/mp4/{clip}.mp4", f"{part}/{sound.format(clip)}")
    touch(tmp_path, "dev/mp4/dev0/abc/00002.mp4")
    (tmp_path / "vox2_meta.csv").write_text(
        "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \ndev0 ,n1 ,m ,dev \ntest1 ,n2 ,f ,test \n"
    )
    talks, problems = read_vox2(tmp_path)
    assert len(talks) == 20 and {t.split for t in talks} == {"train", "dev", "test"}
    assert [
        str(p).endswith("has no audio file of the same name in wav/, m4a/ or aac/")
        for p in problems
    ] == [True]
    assert {t.speaker: t.gender for t in talks if t.gender} == {"dev0": "m", "test1": "f"}
    assert talks[0].id == "dev0-abc-00001" and talks[0].audio.is_file()


def test_grid_is_read_with_its_words(tmp_path):
    for number in range(8):
        touch(tmp_path, f"s{number}/bbaf2n.mpg")
    (tmp_path / "align/s1").mkdir(parents=True)
    (tmp_path / "align/s1/bbaf2n.align").write_text("0 23 sil\n23 30 bin\n30 34 blue\n34 40 sp\n")
    talks, problems = read_grid(tmp_path)
    assert not problems and talks[0].text == "bin blue" and talks[0].boxes == "detector"
    splits = [t.split for t in talks]
    assert splits.count("test") == 2 and splits.count("dev") == 2


def test_flat_grid_clips_may_be_given_speakers(tmp_path):
    touch(tmp_path, "a.mpg", "b.mpg", "c.mpg")
    talks, _ = read_grid(tmp_path, speakers={"a": "man", "c": "man"})
    assert {t.id: t.speaker for t in talks} == {"man-a": "man", "man-c": "man", "b-b": "b"}


def test_splits_may_be_given_by_speaker(tmp_path):
    touch(tmp_path, *(f"s{number}/bbaf2n.mpg" for number in range(6)))
    talks, _ = read_grid(tmp_path)
    given = assigned(talks, {"s1": "test", "*": "train"})
    assert {t.speaker for t in given if t.split == "test"} == {"s1"}
    assert sum(t.split == "train" for t in given) == 5
    with pytest.raises(DataError, match="no clips of s9"):
        assigned(talks, {"s9": "test"})
    with pytest.raises(DataError, match="choices: train, dev, test"):
        assigned(talks, {"s1": "tset"})


def test_an_empty_folder_names_the_layout(tmp_path):
    for read, layout in ((read_lrs3, "pretrain"), (read_vox2, "mp4/<speaker>"), (read_grid, "mpg")):
        with pytest.raises(DataError, match=layout):
            read(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_lrs3(tmp_path / "none")


def test_genders_are_checked(tmp_path):
    lrs3(tmp_path, 1)
    (tmp_path / "spk2gender").write_text("spk0 male\n")
    with pytest.raises(DataError, match=r"spk2gender:1: expected `speaker m` or `speaker f`"):
        read_lrs3(tmp_path)


def test_tables_read_back_and_name_the_line(tmp_path):
    write_table(tmp_path / "a", {"b": "two words", "a": 1, "c": ""})
    assert read_table(tmp_path / "a") == {"a": "1", "b": "two words", "c": ""}
    (tmp_path / "a").write_text("x 1\nx 2\n")
    with pytest.raises(DataError, match="a:2: 'x' is given twice"):
        read_table(tmp_path / "a")
    with pytest.raises(DataError, match="cannot be a key"):
        write_table(tmp_path / "a", {"a b": 1})


def stage(name):
    path = ROOT / f"egs/lrs3/avss/local/{name}.py"
    spec = importlib.util.spec_from_file_location(f"avss_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main(module.arguments().parse_args([str(w) for w in words]))


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Both stages on the smallest mini LRS3."""
    pytest.importorskip("espeakng_loader")
    root = tmp_path_factory.mktemp("avss")
    corpus = ("--corpus", root / "corpus", "--minutes", 0.1, "--mixtures", 12)
    stage("prepare_data")("--out", root / "data", *corpus)
    stage("extract_features")("--data", root / "data", "--out", root / "dump")
    return root


def test_stages_make_clips_and_lists(smoke):
    for split, clips in (("train", 8), ("dev", 4), ("test", 4)):
        prepared = read_prepared(smoke / "dump" / split)
        assert len(prepared) == clips
        for one in prepared.values():
            assert len(read_clip(one.path)) == one.entry.frames and one.entry.gender in "mf"
    for protocol in PROTOCOLS:
        made = read_list(smoke / "dump/test/lists" / f"{protocol}.json")
        drawn = read_list(smoke / "data/lists/test" / f"{protocol}.json")
        assert made == drawn and made.left_out == 0
    own = read_list(smoke / "dump/test/lists/own.json")
    assert {m.pair for m in own.mixtures} == {"same-voice", "different-gender"}


def test_a_listed_mixture_can_be_mixed(smoke):
    prepared = read_prepared(smoke / "dump/test")
    mixture = read_list(smoke / "dump/test/lists/own.json").mixtures[0]
    clips = [read_clip(prepared[s.clip].path, s.start, mixture.frames) for s in mixture.sources]
    mixed = mix(mixture, clips)
    assert mixed.mixture.shape == (32640,) and mixed.mouth.shape == (2, 51, 96, 96)


def test_a_repeated_stage_changes_nothing(smoke):
    files = [p for p in sorted(smoke.rglob("*")) if p.is_file()]
    before = [(p, p.read_bytes()) for p in files]
    stamps = [p.stat().st_mtime_ns for p in files if p.suffix in (".npz", ".mp4")]
    corpus = ("--corpus", smoke / "corpus", "--minutes", 0.1, "--mixtures", 12)
    stage("prepare_data")("--out", smoke / "data", *corpus)
    stage("extract_features")("--data", smoke / "data", "--out", smoke / "dump")
    assert all(p.read_bytes() == content for p, content in before)
    assert stamps == [p.stat().st_mtime_ns for p in files if p.suffix in (".npz", ".mp4")]


def test_problem_clips_are_all_listed_and_skipped_only_when_asked(smoke, tmp_path, capsys):
    corpus = tmp_path / "lrs3"
    shutil.copytree(next((smoke / "corpus").iterdir()), corpus)
    first, second = sorted((corpus / "test").rglob("*.mp4"))[:2]
    first.write_bytes(first.read_bytes()[:3000])
    (corpus / "pretrain/spk0000/00000.npz").write_bytes(b"")
    words = ("--lrs3-root", corpus, "--out", tmp_path / "data", "--mixtures", 12)
    with pytest.raises(DataError, match="2 clips have problems"):
        stage("prepare_data")(*words)
    listed = (tmp_path / "data/problems.txt").read_text().splitlines()
    assert [line.partition(": ")[0] for line in listed] == [
        str(corpus / "pretrain/spk0000/00000.npz"),
        str(first),
    ]
    stage("prepare_data")(*words, "--skip-bad")
    second.write_bytes(b"damaged since")
    extract_words = ("--data", tmp_path / "data", "--out", tmp_path / "dump")
    with pytest.raises(DataError, match="1 clips have problems"):
        stage("extract_features")(*extract_words)
    stage("extract_features")(*extract_words, "--skip-bad")
    made = read_list(tmp_path / "dump/test/lists/own.json")
    assert made.left_out > 0 and "mixtures left out" in capsys.readouterr().err
    assert len(read_prepared(tmp_path / "dump/test")) == 2


def test_two_corpora_at_once_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="lrs3 and grid"):
        stage("prepare_data")("--lrs3-root", tmp_path, "--grid-root", tmp_path, "--out", tmp_path)


@needs_grid
def test_two_real_clips_of_the_same_man_are_prepared_and_mixed(tmp_path):
    names = ("id2_vcd_swwp2s", "pwij3p")
    for name in names:
        shutil.copyfile(GRID / f"{name}.mpg", tmp_path / f"{name}.mpg")
    talks, problems = read_grid(tmp_path, speakers=dict.fromkeys(names, "man"))
    prepared = {t.id: prepare(t, tmp_path / "clips") for t in talks}
    assert not problems and {p.entry.frames for p in prepared.values()} == {75}
    drawer = Drawer([p.entry for p in prepared.values()], PROTOCOLS["own"])
    mixture = drawer.draw(0, SAME_VOICE)
    clips = [read_clip(prepared[s.clip].path, s.start, mixture.frames) for s in mixture.sources]
    assert all(clip.valid.all() and clip.face.std() > 20 for clip in clips)
    mixed = mix(mixture, clips)
    assert mixture.pair == "same-voice" and np.isfinite(mixed.mixture).all()
    moving = np.abs(np.diff(mixed.mouth.astype(float), axis=1)).mean((1, 2, 3))
    assert (moving > 0.5).all() and (mixed.mouth.std((1, 2, 3)) > 10).all()


def test_a_clip_without_a_face_is_a_problem(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video, audio = (
            container.add_stream("mpeg4", rate=25),
            container.add_stream("pcm_s16le", rate=16000),
        )
        video.width = video.height = 64
        video.pix_fmt, audio.layout = "yuv420p", "mono"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 3200), np.int16), format="s16", layout="mono"
        )
        sound.sample_rate = 16000
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    (tmp_path / "b.mpg").write_bytes(path.read_bytes())
    talk = read_grid(tmp_path)[0][0]
    with pytest.raises(
        DataError,
        match=r"the mouth is detected in only 0% of the frames; give boxes in a\.boxes\.json",
    ):
        extract(talk)
    assert entries_of([talk], {talk.id: 5})[0].frames == 5
