"""Pictures: notes, F0 and ticks are at their positions."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from voicediff.report.chart import Side, curves, loss_by_time, pair
from voicediff.report.picture import LEFT, RIGHT, WIDTH, Bar, Picture, note_name, spectrogram_image
from voicediff.report.table import Column

SVG = "{http://www.w3.org/2000/svg}"
RATE = 100.0


def roll(bars, f0):
    svg = Picture(2.0, "a <line>").roll(bars, f0, RATE).svg()
    return ElementTree.fromstring(svg)


def test_f0_on_a_note_runs_through_the_middle_of_its_bar():
    f0 = np.where(np.arange(200) < 100, 440.0, 0.0)
    drawing = roll([Bar(0.0, 1.0, 69, "라")], f0)
    bar = next(e for e in drawing.iter("rect") if e.get("class") == "note")
    (path,) = (e.get("d") for e in drawing.iter("path"))
    heights = {float(point.split()[1]) for point in path[1:].split("L")}
    middle = float(bar.get("y")) + float(bar.get("height")) / 2
    assert len(heights) == 1 and abs(heights.pop() - middle) < 0.2


def test_unvoiced_frames_break_the_line():
    f0 = np.full(200, 440.0)
    f0[50:60] = 0
    f0[120] = 0
    assert len(list(roll([], f0).iter("path"))) == 3


def test_an_octave_error_is_drawn_at_the_border_of_the_range():
    f0 = np.where(np.arange(200) < 100, 440.0, 220.0)
    drawing = roll([Bar(0.0, 2.0, 69, "라")], f0)
    lane = next(e for e in drawing.iter("rect") if e.get("class") == "lane")
    (path,) = (e.get("d") for e in drawing.iter("path"))
    last = float(path.split("L")[-1].split()[1])
    assert last == pytest.approx(float(lane.get("y")) + float(lane.get("height")))


def test_half_of_the_time_is_half_of_the_width():
    drawing = roll([Bar(1.0, 2.0, 60, "도")], np.zeros(200))
    (syllable,) = (e for e in drawing.iter("text") if e.get("class") == "syllable")
    assert float(syllable.get("x")) == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) / 2)
    assert syllable.text == "도"


def test_labels_and_syllables_are_escaped():
    drawing = roll([Bar(0.0, 1.0, 60, "<&>")], np.zeros(200))
    assert drawing.get("aria-label") == "a <line>"
    assert "<&>" in [e.text for e in drawing.iter("text")]


def test_pictures_are_repeatable():
    picture = Picture(2.0, "x").roll([], np.full(200, 220.0), RATE)
    assert picture.svg() == picture.svg()


def test_spectrogram_has_the_lowest_bin_below_and_one_pixel_a_value():
    mel = np.zeros((4, 7))
    mel[0] = 1.0
    image = Image.open(io.BytesIO(spectrogram_image(mel, 0.0, 1.0).data))
    assert image.size == (7, 4)
    light = np.asarray(image.convert("L"))
    assert (light[-1] > 200).all() and (light[:-1] < 20).all()


def test_notes_have_their_names():
    assert [note_name(pitch) for pitch in (60, 69, 73)] == ["C4", "A4", "C♯5"]


def test_charts_for_light_and_dark_pages_are_repeatable():
    columns = [Column("mcd", "MCD", "dB", "lower"), Column("v", "variance", "", "near", 1.0)]
    values = {"mcd": [3.0, None, 2.0], "v": [0.9, 1.0, 1.1]}
    levels = {"recording": {"mcd": 0.0, "v": 1.0}, "copy": {"v": None}}
    first, again = (curves(columns, [0, 1, 10], values, levels, "x: y") for _ in range(2))
    assert first.light.data[:4] == b"\x89PNG" and first.light.data != first.dark.data
    assert first == again


def test_loss_is_drawn_for_every_bin():
    chart = loss_by_time(np.linspace(0, 1, 4), {"steps 1 to 9": [3.0, 2.0, 1.0]}, "loss: by t")
    assert Image.open(io.BytesIO(chart.dark.data)).size[0] > 300


def test_pair_is_drawn_without_a_korean_font(monkeypatch, recwarn):
    monkeypatch.setattr("voicediff.report.chart.korean_font", lambda: None)
    mel, f0 = np.random.default_rng(0).standard_normal((20, 100)), np.full(100, 261.6)
    side = Side("recording", mel, f0)
    image = pair(side, side, [Bar(0.1, 0.9, 60, "강")], RATE, "노래", {"강": "gang"})
    assert Image.open(io.BytesIO(image.data)).size[0] > 1000
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
