import json
import unicodedata

import pytest

from voicediff.errors import ConfigError, DataError
from voicediff.music.score import Note, Score
from voicediff.registry import build, entries
from voicediff.text import load_tokenizer

LYRICS = [
    "나비야 나비야 이리 날아 오너라",
    "노랑나비 흰나비 춤을 추며 오너라",
    "강물이 흘러 바다로 가요",
]
KINDS = ["phone", "jamo", "sentencepiece"]


def tokenizer(kind: str):
    made = build("tokenizer", {"name": kind})
    made.fit(LYRICS)
    return made


def song(text: str, **fields) -> Score:
    """`강-가`: one note a syllable, `-` a slur."""
    notes = tuple(Note(i, i + 1, 60, "" if c == "-" else c, c == "-") for i, c in enumerate(text))
    return Score(notes, len(notes), **fields)


def test_three_tokenizers_are_registered():
    assert set(KINDS) <= set(entries("tokenizer"))


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_are_unique_and_encoding_is_undone_by_decoding(kind):
    made = tokenizer(kind)
    assert len(set(made.symbols)) == len(made.symbols)
    assert made.decode(made.encode(made.symbols)) == made.symbols
    assert made.symbols[0] == "<pad>" and made.silence == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_syllable_has_one_nucleus_and_known_symbols(kind):
    made = tokenizer(kind)
    parts = made.syllables(song("강물이흘러-바다로가요닭-"))
    assert len(parts) == 13
    for note in parts:
        assert [role for role, _ in note].count("nucleus") == 1
        order = ["onset", "nucleus", "coda"]
        assert sorted(note, key=lambda part: order.index(part[0])) == note
        made.encode(symbol for _, symbol in note)


@pytest.mark.parametrize("kind", KINDS)
def test_a_slur_has_no_onset_and_takes_the_coda(kind):
    head, middle, last = tokenizer(kind).syllables(song("강--"))
    assert [role for role, _ in head] == ["onset", "nucleus"]
    assert [role for role, _ in middle] == ["nucleus"]
    assert [role for role, _ in last] == ["nucleus", "coda"]
    assert head[-1] == middle[0] == last[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_loaded_unchanged(kind, tmp_path):
    made = tokenizer(kind)
    made.save(tmp_path)
    found = load_tokenizer(tmp_path)
    assert (found.name, found.symbols, found.hash, found.g2p) == (
        made.name, made.symbols, made.hash, made.g2p
    )  # fmt: skip
    assert found.syllables(song("강물")) == made.syllables(song("강물"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_made_with_another_pronouncer_works_with_the_rules(kind, tmp_path):
    made = build("tokenizer", {"name": kind, "pronouncer": "g2pk"})
    made.pronouncer = "rules"
    made.fit(LYRICS)
    made.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace(made.g2p, "g2pk 0.9.4"))
    found = load_tokenizer(tmp_path)
    assert found.g2p.startswith("rules ")
    assert found.syllables(song("국물")) == made.syllables(song("국물"))


def test_an_unknown_pronouncer_is_an_error_with_its_place():
    with pytest.raises(ConfigError, match=r"tokenizer.*pronouncer.*'mfa'"):
        build("tokenizer", {"name": "phone", "pronouncer": "mfa"})


def test_sentencepieces_join_letters_within_a_syllable_only():
    made = tokenizer("sentencepiece")
    assert any(len(symbol) > 1 for symbol in made.symbols[2:] if not symbol.startswith("<"))
    letters = "".join(symbol for _, symbol in made.syllables(song("나비"))[0])
    assert unicodedata.normalize("NFC", letters) == "나"


def test_a_sentencepiece_model_encodes_letters_outside_its_training_text():
    made = build("tokenizer", {"name": "sentencepiece", "pronounced": False})
    made.fit(["가나다"])
    assert [role for role, _ in made.syllables(song("쀍"))[0]] == ["onset", "nucleus", "coda"]
    made.encode(symbol for _, symbol in made.syllables(song("쀍"))[0])


def test_annotated_phones_are_used():
    notes = (Note(0, 1, 60, "가", phones=("kk", "w", "a")), Note(1, 2, 60, "나"))
    parts = tokenizer("phone").syllables(Score(notes, 2))
    assert parts == [
        [("onset", "kk"), ("nucleus", "wa")],
        [("onset", "n"), ("nucleus", "a")],
    ]


def test_annotated_phones_of_a_slur_include_its_coda():
    notes = (Note(0, 1, 60, phones=("g", "a")), Note(1, 2, 62, slur=True, phones=("a", "ng")))
    parts = tokenizer("phone").syllables(Score(notes, 2))
    assert parts == [[("onset", "g"), ("nucleus", "a")], [("nucleus", "a"), ("coda", "ng")]]


def test_sound_changes_apply_within_a_line_and_not_across_lines():
    together = tokenizer("phone").syllables(song("국물", phrases=(0,)))
    apart = tokenizer("phone").syllables(song("국물", phrases=(0, 1)))
    assert together[0][-1] == ("coda", "ng")
    assert apart[0][-1] == ("coda", "k")


def test_jamo_can_stay_as_written():
    written = build("tokenizer", {"name": "jamo", "pronounced": False})
    assert [symbol for _, symbol in written.syllables(song("값"))[0]] == ["ᄀ", "ᅡ", "ᆹ"]
    assert written.g2p == ""


def test_another_vocabulary_is_an_error_with_its_symbols(tmp_path):
    made = tokenizer("phone")
    made.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["symbols"].append("zz")
    stored["symbols"].remove("kk")
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(DataError, match="this one lacks zz, the stored one lacks kk"):
        made.load(tmp_path)


def test_another_kind_another_g2p_or_no_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_tokenizer(tmp_path)
    tokenizer("jamo").save(tmp_path)
    with pytest.raises(DataError, match="holds 'jamo' tokens, the configuration asks for 'phone'"):
        tokenizer("phone").load(tmp_path)
    with pytest.raises(DataError, match="made with g2p"):
        build("tokenizer", {"name": "jamo", "pronounced": False}).load(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": 1}', '{"name": "phone", "g2p": "", "symbols": 3}', "\x00"]
)
def test_a_damaged_token_list_is_a_data_error(text, tmp_path):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(DataError, match="not a token list"):
        load_tokenizer(tmp_path)


def test_unknown_symbols_are_listed():
    with pytest.raises(DataError, match="f v not in the list"):
        tokenizer("phone").encode(["g", "v", "f"])


def test_an_unfitted_sentencepiece_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match="fit it to lyrics"):
        build("tokenizer", {"name": "sentencepiece"}).syllables(song("가"))
