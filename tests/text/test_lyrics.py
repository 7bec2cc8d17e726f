import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicediff.errors import DataError
from voicediff.text.lyrics import numbers_of, parse_line, parse_lyrics, read_lyrics


def texts(line: str) -> str:
    return "".join(item.text for item in parse_line(line))


def test_syllables_words_and_lines():
    lines = parse_lyrics("반짝 작은별,\n\n아름답게!\n")
    assert ["".join(item.text for item in line) for line in lines] == ["반짝작은별", "아름답게"]
    assert [item.word for item in lines[0]] == [True, False, True, False, False]
    assert [line[0].line for line in lines] == [1, 3]


@pytest.mark.parametrize("line", ["반-짝ー", "반 - 짝 -"])
def test_marks_hold_the_previous_syllable(line):
    assert texts(line) == "반-짝-"


def test_a_hyphen_between_digits_is_not_a_slur():
    assert texts("010-12") == "영일영십이"


def test_decomposed_text_is_composed():
    assert texts(unicodedata.normalize("NFD", "반짝")) == "반짝"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("나는 love 해", r"lyrics:1: 'love' has Latin letters \(column 4\)"),
        ("산 山", "the letter '山'"),
        ("ㅋㅋ", "the letter 'ㅋ'"),
        ("½ 컵", "the letter '½'"),
        ("10년 山", r"'山' has the letter '山' \(column 5\)"),
        ("50%", r"the sign '%' \(column 3\)"),
        ("노래 3번", "lyrics:1: '3번' is read 세번 or 삼번; write it in Hangul"),
    ],
)
def test_characters_that_cannot_be_sung_are_an_error_with_their_place(line, message):
    with pytest.raises(DataError, match=message):
        parse_line(line)


@given(st.text(max_size=60))
def test_any_text_is_read_or_rejected(text):
    try:
        lines = parse_lyrics(text)
    except DataError:
        return
    assert all(item.slur or "가" <= item.text <= "힣" for line in lines for item in line)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no syllables"), ("반짝".encode("cp949"), "not UTF-8"), (b"!?\n", "no syllables")],
)
def test_unusable_lyric_files_are_data_errors(content, message, tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_lyrics(path)


def test_a_missing_lyric_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_lyrics(tmp_path / "words.txt")


def test_readings_of_the_numbers_of_a_lyrics_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("곰 3마리\n노래 3번\n6월에\n", encoding="utf-8")
    assert numbers_of(path) == [
        f"{path}:1: 3마리 is sung as 세마리",
        f"{path}:3: 6월에 is sung as 유월에",
    ]
