"""The report on decoded singing, on folders of synthetic harmonic tones."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from voicediff.audio import MelSpec, log_mel, write_wav
from voicediff.errors import ConfigError, DataError
from voicediff.files import write_json
from voicediff.music.score import Note, Score
from voicediff.report.singing_examples import Line, SongExamples, choose_songs, mel_ticks, romanised
from voicediff.report.singing_metrics import Scored, summary, tables, training_loss
from voicediff.report.singing_report import SingingReport
from voicediff.report.singing_rows import read_rows, song_folders
from voicediff.report.table import plain

MEL = MelSpec(sample_rate=16000, n_fft=512, hop=128, win=512, n_mels=40, fmax=8000.0)
ROWS = {"natural": None, "copy": None, "mu": 0, "nfe_1": 1, "nfe_10": 10, "nfe_50": 50}
UTTS = ("kr047a_000", "kr047a_001", "kr048a_000")
VERSIONS = {"python": "3.11.7", "packages": {"torch": "2.11.0"}, "git": "abc", "seed": 7}
VERSIONS |= {"machine": "Linux"}
SCORE = Score((Note(0.1, 0.5, 57, "당"), Note(0.5, 0.9, 60, "신")), 1.0, "당신은 누구십니까")


def sung(score=SCORE, detune=0.0):
    time = np.arange(round(score.duration * MEL.sample_rate)) / MEL.sample_rate
    wav = 1e-4 * np.sin(2 * np.pi * 3000 * time)
    for note in score.notes:
        inside = (time >= note.start) & (time < note.end)
        hz = 440 * 2 ** ((note.pitch + detune - 69) / 12)
        wav += inside * sum(0.2 / k * np.sin(2 * np.pi * k * hz * time) for k in range(1, 6))
    return wav.astype(np.float32)


def write_row(folder, name, nfe, utts=UTTS):
    for utt in utts:
        wav = sung(detune=0.0 if nfe is None else 0.3)
        write_wav(folder / name / "wav" / f"{utt}.wav", wav, MEL.sample_rate)
        (folder / name / "mel").mkdir(exist_ok=True)
        np.save(folder / name / "mel" / f"{utt}.npy", log_mel(torch.from_numpy(wav), MEL).numpy())
    info = {
        "row": name,
        "title": f"the row {name}",
        "nfe": nfe,
        "seed": 7,
        "vocoder": "griffin_lim",
    }
    info |= {"sampler": {"name": "heun"} if nfe else None, "rtf": 0.25, "noise_scale": 1.0}
    write_json(folder / name / "info.json", info)


@pytest.fixture
def decoded(tmp_path):
    folder = tmp_path / "exp" / "mini" / "decode_gl"
    for name, nfe in ROWS.items():
        write_row(folder, name, nfe)
    song = folder / "songs" / "kr047a"
    for name in ("natural", "generated"):
        write_wav(song / f"{name}.wav", sung(), MEL.sample_rate)
    write_json(song / "score.json", SCORE.to_dict())
    write_json(song / "info.json", {"sampler": {"name": "heun", "steps": 10}})
    return folder


def lines():
    return [Line(utt, utt[:6], float(i), i + 1.0, SCORE) for i, utt in enumerate(UTTS)]


def scored(folder):
    """Metrics computed from the number of the row; the report must contain these."""
    found = []
    for number, row in enumerate(read_rows(folder, UTTS)):
        values = {"mcd": number / 3, "variance_ratio": 0.1 * number, "vuv_error": float("nan")}
        utterances = {utt: {"mcd": number + i / 7} for i, utt in enumerate(UTTS)}
        found.append(Scored(row, values | {"novel_metric": 2.0 * number}, utterances))
    return found


def report(folder):
    return SingingReport(folder, scored(folder), lines(), MEL, VERSIONS)


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_references_come_first_then_rows_by_nfe(decoded):
    assert [row.name for row in read_rows(decoded, UTTS)] == list(ROWS)


def test_scores_in_json_are_those_of_the_metrics(decoded):
    report(decoded).write({"kr047a": SCORE.title})
    content = json.loads((decoded / "scores.json").read_text(encoding="utf-8"))
    assert [row["row"] for row in content["rows"]] == list(ROWS)
    for row, item in zip(content["rows"], scored(decoded), strict=True):
        assert row["scores"].pop("vuv_error") is None
        assert row["scores"] == {k: item.overall[k] for k in row["scores"]}
        assert row["utterances"] == item.utterances
    assert content["environment"]["seed"] == 7
    assert content["environment"]["packages"].keys() >= {"torch", "soundfile", "matplotlib"}
    assert content["environment"]["threads"] == torch.get_num_threads()


def test_report_is_repeatable(decoded):
    names = ("scores.json", "RESULTS.md", "index.html", "pictures/kr047a.png")
    report(decoded).write({"kr047a": SCORE.title})
    first = [(decoded / name).read_bytes() for name in names]
    report(decoded).write({"kr047a": SCORE.title})
    assert [(decoded / name).read_bytes() for name in names] == first


def test_results_hold_every_row_and_score_and_their_pictures_exist(decoded):
    report(decoded).write({"kr047a": SCORE.title})
    text = (decoded / "RESULTS.md").read_text(encoding="utf-8")
    assert all(text.count(f"| the row {name} |") == 4 for name in ROWS)
    assert "1.67" in text and "novel metric" in text and "**seed**: 7" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) == 2 and all((decoded / path).is_file() for path in pictures)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_page_shows_song_and_lines_with_syllables_in_every_row(decoded):
    report(decoded).write({"kr047a": SCORE.title, "kr048a": "창밖을 보라"})
    html = (decoded / "index.html").read_text(encoding="utf-8")
    tags = Tags(html).found
    shown = [a["data-choice"] for t, a in tags if t == "figure" and "data-choice" in a]
    assert shown == ["song", *[name for name in ROWS if name != "natural"] * 3]
    radios = {a["value"]: "checked" in a for t, a in tags if t == "input"}
    assert radios == {n: n == "nfe_10" for n in ROWS if n != "natural"}
    visible = [a for t, a in tags if t == "figure" and "data-choice" in a and "hidden" not in a]
    assert [a["data-choice"] for a in visible] == ["song", "nfe_10", "nfe_10", "nfe_10"]
    assert html.count(">당</text>") == len([t for t, _ in tags if t == "svg"])
    assert "창밖을 보라" in html and "Generated, heun, NFE 19" in html


def test_generated_row_is_never_marked_beyond_references(decoded):
    table = tables(scored(decoded))[0]
    assert table.best["mcd"] == {"mu"}
    assert "the row mu" in plain(summary(scored(decoded)))


def test_missing_row_is_named(decoded):
    (decoded / "copy" / "info.json").unlink()
    with pytest.raises(DataError, match=r"decode_gl/copy: missing; .*natural and copy.*stage 4"):
        read_rows(decoded, UTTS)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder; run stage 4"):
        read_rows(tmp_path / "decode", UTTS)


def test_lost_and_foreign_utterances_are_named(decoded):
    (decoded / "nfe_1" / "wav" / f"{UTTS[1]}.wav").unlink()
    with pytest.raises(DataError, match=r"nfe_1/wav: kr047a_001 is missing \(2 of 3"):
        read_rows(decoded, UTTS)
    with pytest.raises(DataError, match=r"kr048a_000 is not in the data"):
        read_rows(decoded, UTTS[:2])


def test_damaged_files_are_named(decoded):
    row = read_rows(decoded, UTTS)[2]
    with pytest.raises(DataError, match=r"has shape \(40, 125\), expected \(80, frames\)"):
        row.mel(UTTS[0], 80)
    (row.folder / "mel" / f"{UTTS[0]}.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"kr047a_000.npy: not a mel-spectrogram"):
        row.mel(UTTS[0], MEL.n_mels)
    (row.folder / "info.json").write_text("{")
    with pytest.raises(DataError, match=r"mu/info.json: not readable"):
        read_rows(decoded, UTTS)


def test_songs_are_chosen_by_title_whatever_its_spaces():
    titles = {
        "kr047a": "당신은 누구십니까",
        "kr047b": "당신은 누구십니까",
        "kr048a": "창밖을 보라!",
    }
    assert choose_songs(titles, ["창밖을보라", "당신은 누구십니까"]) == ["kr048a", "kr047a"]
    assert choose_songs(titles, ["kr047b"]) == ["kr047b"]
    assert choose_songs(titles, []) == ["kr047a", "kr048a"]
    with pytest.raises(
        ConfigError, match=r"no test song '창밖을 봐라'; did you mean '창밖을 보라!'\?"
    ):
        choose_songs(titles, ["창밖을 봐라"])


def test_mel_ticks_stand_where_a_tone_of_that_frequency_is_loudest():
    for place, text in mel_ticks(MEL):
        hz = 1000 * float(text.rstrip("k"))
        tone = np.sin(2 * np.pi * hz * np.arange(MEL.sample_rate) / MEL.sample_rate)
        mel = log_mel(torch.from_numpy(tone.astype("f4")), MEL)[:, 50]
        assert abs(place * MEL.n_mels - 0.5 - int(mel.argmax())) <= 1.0


def test_syllables_are_romanised_with_the_phones_of_the_corpus():
    assert romanised("강닭, a") == "gangdak, a"


def test_loss_over_t_is_read_from_the_log(tmp_path):
    log = tmp_path / "log.csv"
    assert training_loss(log) is None
    head = "step,split,name,value\n"
    log.write_text(head + "25,train,encoder/loss,0.5\n")
    assert training_loss(log) is None
    log.write_text(head + "".join(f"25,train,decoder/t{n},{n + 1}\n" for n in range(10)))
    assert training_loss(log).caption.startswith("Loss over t")
    log.write_text(head + "x,train,decoder/t1,0.5\n")
    with pytest.raises(DataError, match="not a training log"):
        training_loss(log)


def test_long_song_is_drawn_narrow_and_without_syllables(decoded):
    count = 60
    notes = tuple(Note(i * 0.25, i * 0.25 + 0.25, 60, "라") for i in range(count))
    score = Score(notes, count / 4, "긴 노래")
    song = decoded / "songs" / "kr047a"
    for name in ("natural", "generated"):
        write_wav(song / f"{name}.wav", sung(score), MEL.sample_rate)
    write_json(song / "score.json", score.to_dict())
    rows = read_rows(decoded, UTTS)
    maker = SongExamples(rows, "nfe_10", lines(), song_folders(decoded), MEL)
    whole = maker.example("kr047a", "긴 노래").pairs[0]
    assert whole.left.seconds == pytest.approx(15.0) and "라" not in whole.left.picture
    assert whole.left.picture.count('class="note"') == count
