"""The page is self-contained, shows its content in order, and stays below its size limit."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from voicediff.report.chart import curves
from voicediff.report.page import Clip, Example, Page, Pair
from voicediff.report.picture import Picture
from voicediff.report.sound import codecs, encode
from voicediff.report.table import Column, Row, Table

VOID = {"meta", "link", "img", "input", "source", "br", "hr"}
LINKS = {"src", "href", "srcset", "action", "poster", "data", "xlink:href"}


class Reader(HTMLParser):
    """Tags in order, and those that are not nested."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.wrong = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def sine(seconds=0.5, rate=16000):
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype("f4")


def clip(title, wav=None):
    wav = sine() if wav is None else wav
    picture = Picture(len(wav) / 16000, title).roll([], np.full(50, 220.0), 100.0)
    return Clip(title, f"listen: {title}", wav, 16000, picture.svg())


def page(pairs=1, wav=None):
    columns = [Column("mcd", "MCD", "dB", "lower", meaning="a distance")]
    rows = [Row("natural", "recording", {"mcd": 0.0}, True), Row("mu", "mean", {"mcd": 4.25})]
    right = {"mu": clip("mean", wav), "nfe_4": clip("NFE 4", wav)}
    pairs = [Pair(f"line {i}", clip("recording", wav), right) for i in range(pairs)]
    chart = curves(columns, [0, 4], {"mcd": [4.25, 4.0]}, {}, "Quality: against NFE")
    return Page(
        title="노래 & <song>",
        lead="A sentence.",
        facts={"vocoder": "griffin_lim"},
        reading="How to read.",
        tables=[Table("Timbre", columns, rows)],
        notes={"MCD": "favours the mean"},
        charts=[chart],
        left="the recording",
        choices={"mu": "mu", "nfe_4": "4"},
        chosen="nfe_4",
        examples=[Example("노래", "", pairs)],
        environment={"git": "abc"},
    )


def test_players_come_before_charts_and_charts_before_tables():
    tags = [tag for tag, _ in Reader(page().html()).tags if tag in ("audio", "picture", "table")]
    assert list(dict.fromkeys(tags)) == ["audio", "picture", "table"]
    assert tags.index("picture") > len(tags) - 1 - tags[::-1].index("audio")


def test_html_is_nested_and_titled():
    reader = Reader(page().html())
    assert reader.wrong == [] and reader.open == []
    assert "<title>노래 &amp; &lt;song&gt;</title>" in page().html()


def test_nothing_is_loaded_from_elsewhere():
    html = page().html()
    for tag, attributes in Reader(html).tags:
        for name in LINKS & attributes.keys():
            assert attributes[name].startswith(("data:", "#")), (tag, name, attributes[name][:80])
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", html)


def test_links_have_targets():
    reader = Reader(page().html())
    names = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = [a["href"][1:] for a in reader.all("a")]
    assert links and set(links) <= names


def test_embedded_sound_equals_its_clip():
    source = Reader(page().html()).all("audio")[0]["src"]
    wav, rate = soundfile.read(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    assert rate == 16000
    np.testing.assert_allclose(wav, sine(), atol=1e-4)


def test_only_the_chosen_row_is_visible_at_first():
    clips = [a for a in Reader(page().html()).all("figure") if a.get("data-choice")]
    assert {a["data-choice"]: "hidden" in a for a in clips} == {"mu": True, "nfe_4": False}


def test_all_controls_have_names():
    reader = Reader(page().html())
    assert all("controls" in a and a["aria-label"] for a in reader.all("audio"))
    radios = [a for a in reader.all("input") if a["type"] == "radio"]
    assert [a["value"] for a in radios] == ["mu", "nfe_4"]
    assert len({a["name"] for a in radios}) == 1


def test_lossy_sound_is_tried_before_examples_are_left_out():
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(64000)).astype("f4")
    lossless, lossy, short = (page(3, noise) for _ in range(3))
    large, medium = len(lossless.html()), len(lossy.html(limit=1_000_000))
    assert lossless.shortened == lossy.shortened == 0
    assert "audio/flac" in lossless.html() and medium < 1_000_000 < large
    small = medium - 100_000
    assert len(short.html(limit=small)) < small
    assert 1 <= short.shortened <= 2 and len(short.examples[0].pairs) == 3 - short.shortened


def test_page_is_repeatable():
    assert page().html() == page().html()


@pytest.mark.parametrize("codec", codecs())
def test_codecs_keep_rate_length_and_sound(codec):
    loud = 3 * sine(2.0)
    wav, rate = soundfile.read(io.BytesIO(encode(loud, 16000, codec).data))
    assert rate == 16000 and abs(len(wav) - len(loud)) < 0.1 * rate
    assert np.abs(wav).max() <= 1.01
    power = np.abs(np.fft.rfft(wav[8000:24000]))
    assert power.argmax() == 220
