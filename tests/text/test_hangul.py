import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicediff.errors import DataError
from voicediff.text import hangul
from voicediff.text.numbers import native, readings, sino, spell_out

SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)


def test_every_syllable_is_composed_of_its_parts():
    for code in range(0xAC00, 0xD7A4):
        assert hangul.compose(*hangul.decompose(chr(code))) == chr(code)


@given(SYLLABLES)
def test_conjoining_letters_are_unicodes_own_decomposition(syllable):
    letters = "".join(hangul.conjoining(syllable))
    assert letters == unicodedata.normalize("NFD", syllable).replace("ᄋ", "")


@pytest.mark.parametrize("text", ["", "a", "ㄱ", "가나", "漢"])
def test_anything_but_one_syllable_is_rejected(text):
    with pytest.raises(DataError, match="is not one Hangul syllable"):
        hangul.decompose(text)


@pytest.mark.parametrize("parts", [("ㅏ", "ㄱ"), ("ㄳ", "ㅏ"), ("ㄱ", "ㅏ", "ㄸ"), ("", "ㅏ")])
def test_letters_in_a_wrong_position_are_rejected(parts):
    with pytest.raises(DataError, match="do not make"):
        hangul.compose(*parts)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "영"), (7, "칠"), (10, "십"), (11, "십일"), (21, "이십일"), (100, "백"), (111, "백십일"),
        (1000, "천"), (2024, "이천이십사"), (10000, "만"), (10001, "만일"), (110000, "십일만"),
        (100000000, "일억"), (1234567890, "십이억삼천사백오십육만칠천팔백구십"),
    ],
)  # fmt: skip
def test_sino_korean_numbers(number, words):
    assert sino(number) == words


@pytest.mark.parametrize(
    ("number", "words"), [(1, "한"), (20, "스무"), (21, "스물한"), (99, "아흔아홉")]
)
def test_native_numbers_before_counters(number, words):
    assert native(number) == words


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("아기곰 3마리", "아기곰 세마리"),
        ("20 살", "스무 살"),
        ("3분", "삼분"),
        ("150개", "백오십개"),
        ("1,000원", "천원"),
        ("3.14", "삼점일사"),
        ("010", "영일영"),
        ("12월 25일", "십이월 이십오일"),
    ],
)
def test_numbers_in_lyrics_are_read_in_korean(text, read):
    assert spell_out(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("6월 10일", "유월 십일"),
        ("10월 6일", "시월 육일"),
        ("16월", "십육월"),
        ("1번째 21 번째", "첫번째 스물한 번째"),
        ("3개월 7개국 5개", "삼개월 칠개국 다섯개"),
        ("3번지 2달러 2달", "삼번지 이달러 두달"),
        ("5대양 20대", "오대양 이십대"),
        ("3~4명", "서너명"),
        ("2∼3일", "이삼일"),
        ("10~20분", "십에서 이십분"),
        ("5~10개", "다섯에서 열개"),
        ("9~10월", "구에서 시월"),
        ("8시 15시 24시간", "여덟시 십오시 스물네시간"),
        ("0.5", "영점오"),
        ("3·1 6·25 12·12", "삼일 육이오 십이십이"),
        ("010-2345-0078", "공일공 이삼사오 공공칠팔"),
        ("02) 345-6789", "공이 삼사오 육칠팔구"),
        ("1-2", "일 이"),
        ("113386", "십일만삼천삼백팔십육"),
        ("３마리", "세마리"),
    ],
)
def test_numbers_are_read_by_their_counters(text, read):
    assert spell_out(text) == read


@pytest.mark.parametrize("text", ["3번", "2권", "5대", "1장", "3~4번"])
def test_a_number_with_two_readings_is_rejected(text):
    with pytest.raises(DataError, match="write it in Hangul"):
        spell_out(text)


def test_readings_of_numbers():
    assert readings("곰 3마리, 6월") == [("3마리", "세마리"), ("6월", "유월")]
    assert readings("곰") == []


@given(
    st.text(st.one_of(st.characters(), st.sampled_from("0123456789.,~·-월번개시 ")), max_size=40)
)
def test_spelling_out_leaves_no_ascii_digit(text):
    try:
        read = spell_out(text)
    except DataError as error:
        assert "write it in Hangul" in str(error)
        return
    assert not any(c in "0123456789" for c in read)
