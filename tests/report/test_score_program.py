"""`voicediff score` on synthetic tones: scores equal those of the metrics, errors are one line."""

import json

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, log_mel, read_wav, write_wav
from voicediff.bin.main import main
from voicediff.config import dump_yaml
from voicediff.data.singing.kaldi import Recording, Utterance, write_folder
from voicediff.files import write_json, write_text
from voicediff.metrics import Item, score_utterances
from voicediff.metrics.reference_f0 import pyin_f0, with_f0
from voicediff.music.score import Note, Score

MEL = MelSpec(sample_rate=16000, n_fft=512, hop=128, win=512, n_mels=40, fmax=8000.0)
ROWS = {"natural": None, "copy": None, "mu": 0, "nfe_10": 10}
DETUNE = {"natural": 0.0, "copy": 0.02, "mu": 0.2, "nfe_10": 0.1}
TITLES = {"kr047a": "당신은 누구십니까", "kr048a": "창밖을 보라"}
LINE = 1.2  # seconds


def song_score(song):
    first = 57 if song == "kr047a" else 60
    pitches = (first, first + 2, first + 4, first)
    notes = [Note(0.1 + 0.55 * i, 0.6 + 0.55 * i, p, "라") for i, p in enumerate(pitches)]
    return Score(tuple(notes), 2 * LINE, TITLES[song])


def sung(score, detune):
    time = np.arange(round(score.duration * MEL.sample_rate)) / MEL.sample_rate
    wav = 1e-3 * np.random.default_rng(0).standard_normal(len(time))
    for note in score.notes:
        inside = (time >= note.start) & (time < note.end)
        hz = 440 * 2 ** ((note.pitch + detune - 69) / 12)
        wav += inside * sum(0.2 / k * np.sin(2 * np.pi * k * hz * time) for k in range(1, 6))
    return wav.astype(np.float32)


def mel_of(wav):
    return log_mel(torch.from_numpy(wav), MEL).numpy()


@pytest.fixture
def prepared(tmp_path):
    """Data, features and rows of two songs of two lines."""
    recordings, lines = [], []
    for song in TITLES:
        score, wav = song_score(song), tmp_path / "wav" / f"{song}.wav"
        write_wav(wav, sung(score, 0.0), MEL.sample_rate)
        recordings.append(Recording(song, wav, score))
        for i in range(2):
            cut = score.cut(i * LINE, (i + 1) * LINE)
            utt = f"{song}_{i:03d}"
            lines.append(Utterance(utt, song, i * LINE, (i + 1) * LINE, "라라", "kr", cut))
    (tmp_path / "data").mkdir()
    write_folder(tmp_path / "data" / "test", recordings, lines)
    entries = [{"utt": x.utt, "frames": 150, "path": "", "score": x.score.to_dict()} for x in lines]
    index = {"mel": MEL.hash, "utterances": entries}
    write_json(tmp_path / "dump" / "test" / "index.json", index)
    mel = dump_yaml({**MEL.to_dict(), "hash": MEL.hash})
    write_text(tmp_path / "dump" / "assets" / "mel.yaml", mel)
    for name, nfe in ROWS.items():
        row = tmp_path / "exp" / "mini" / "decode" / name
        info = {"row": name, "title": name, "nfe": nfe, "seed": 5, "vocoder": "none"}
        write_json(row / "info.json", info | {"sampler": None, "mel": MEL.hash})
        (row / "mel").mkdir()
        for line in lines:
            wav = sung(line.score, DETUNE[name])
            write_wav(row / "wav" / f"{line.utt}.wav", wav, MEL.sample_rate)
            np.save(row / "mel" / f"{line.utt}.npy", mel_of(wav))
    return tmp_path


def score(folder, *more):
    paths = ("--decoded", "exp/mini/decode", "--data", "data/test", "--dump", "dump/test")
    options = [str(folder / x) if i % 2 else x for i, x in enumerate(paths)]
    return main(["score", *options, *more])


def complaint(capsys):
    """The one line that the program ends with."""
    (line,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("voicediff score"))
    return line


def test_scores_equal_the_metrics_with_one_and_two_jobs(prepared, capsys):
    decoded = prepared / "exp" / "mini" / "decode"
    assert score(prepared, "--examples", "창밖을 보라;kr047a") == 0
    first = (decoded / "scores.json").read_bytes()
    rows = {row["row"]: row for row in json.loads(first)["rows"]}
    assert list(rows) == list(ROWS)
    utts = sorted(rows["mu"]["utterances"])

    def items(name):
        for utt in utts:
            wav, _ = read_wav(decoded / name / "wav" / f"{utt}.wav")
            mel = np.load(decoded / name / "mel" / f"{utt}.npy")
            whole = song_score(utt[:6])
            start = LINE * int(utt[-1])
            yield Item(mel=mel, wav=wav, score=whole.cut(start, start + LINE))

    def references():
        for item in items("natural"):
            yield with_f0(item.prepared(MEL), pyin_f0(item.wav, MEL, item.score))

    for name in ("natural", "mu"):
        overall, each = score_utterances(references(), items(name), MEL)
        numbers = {k: None if np.isnan(v) else v for k, v in overall.items()}
        assert rows[name]["scores"] == pytest.approx(numbers, rel=1e-6)
        found = rows[name]["utterances"][utts[1]]
        assert found["mcd"] == pytest.approx(each[1]["mcd"], rel=1e-6)
    assert rows["mu"]["scores"]["sung_f0_distance"] == pytest.approx(20, abs=1.5)
    assert rows["nfe_10"]["scores"]["sung_f0_distance"] == pytest.approx(10, abs=1.5)

    printed = capsys.readouterr().out
    assert all(str(decoded / name) in printed for name in ("songs", "RESULTS.md", "index.html"))
    page = (decoded / "index.html").read_text(encoding="utf-8")
    assert page.index("창밖을 보라</h3>") < page.index("당신은 누구십니까</h3>")

    assert score(prepared, "--nj", "2") == 0
    assert (decoded / "scores.json").read_bytes() == first


def test_the_known_f0_of_a_generated_corpus_is_the_reference(prepared):
    for song in TITLES:
        true = np.full(3000, 440 * 2 ** ((song_score(song).notes[0].pitch - 69) / 12), np.float32)
        (prepared / "f0").mkdir(exist_ok=True)
        np.savez(prepared / "f0" / f"{song}.npz", f0=true, rate=1000)
    decoded = prepared / "exp" / "mini" / "decode"
    found = {}
    for kind in ("auto", "tracker"):
        assert score(prepared, "--reference-f0", kind) == 0
        rows = json.loads((decoded / "scores.json").read_bytes())["rows"]
        found[kind] = rows[0]["scores"]["raw_pitch_accuracy"]
    assert found["tracker"] == 1
    assert found["auto"] == pytest.approx(0.5, abs=0.05)  # two of four notes are the first
    assert not (decoded / "natural" / "reference_f0").exists()


def test_missing_row_is_a_one_line_error(prepared, capsys):
    (prepared / "exp" / "mini" / "decode" / "copy" / "info.json").unlink()
    assert score(prepared) == 2
    assert "decode/copy: missing; scores need the rows natural and copy" in complaint(capsys)
    assert not (prepared / "exp" / "mini" / "decode" / "scores.json").exists()


def test_rendition_of_another_length_is_named(prepared, capsys):
    row = prepared / "exp" / "mini" / "decode" / "mu"
    mel = np.load(row / "mel" / "kr047a_001.npy")
    np.save(row / "mel" / "kr047a_001.npy", mel[:, :-20])
    assert score(prepared) == 2
    assert "mu: kr047a_001 has 130 frames, the recording 150; run stage 4" in complaint(capsys)


def test_data_and_features_that_differ_are_named(prepared, capsys):
    path = prepared / "dump" / "test" / "index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index["utterances"][0]["utt"] = "kr050a_000"
    write_json(path, index)
    assert score(prepared) == 2
    assert "kr050a_000 is not in" in complaint(capsys)


def test_other_mel_settings_are_refused(prepared, capsys):
    other = MelSpec(sample_rate=16000, n_fft=512, hop=128, win=512, n_mels=40, fmax=7000.0)
    mel = dump_yaml({**other.to_dict(), "hash": other.hash})
    write_text(prepared / "dump" / "assets" / "mel.yaml", mel)
    assert score(prepared) == 2
    assert f"decoded with mel settings {MEL.hash}, the features have {other.hash}" in complaint(
        capsys
    )


def test_unknown_example_and_jobs_are_refused_before_anything_is_measured(prepared, capsys):
    assert score(prepared, "--examples", "창밖을 봐라") == 2
    assert "did you mean '창밖을 보라'?" in complaint(capsys)
    assert score(prepared, "--nj", "0") == 2
    assert "--nj: expected 1 or more, found 0" in complaint(capsys)
