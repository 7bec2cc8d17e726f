"""Readings of numbers in Korean: Sino-Korean, or native numerals before counters."""

from __future__ import annotations

import re

from voicediff.errors import DataError

_DIGITS = ("", *"일이삼사오육칠팔구")
_MYRIADS = ("", "만", "억", "조", "경")
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_MONTHS = {6: "유", 10: "시"}
_ABOUT = (
    "",
    *"한두 두세 서너 네댓 대여섯 예닐곱 일고여덟 여덟아홉".split(),
)  # approximate numbers, "n or n + 1"
# counters after native numerals; the look-aheads exclude words that begin like them
_NATIVE = re.compile(
    "개(?! ?월| ?국|년|소|교)|달(?!러)|시(?!즌)|통(?!신)|명(?!제)|병(?!동)|해(?!리)|마리|사람|살|송이|그루|잔|채|"
    "켤레|벌|자루|군데|가지|걸음|밤|알|톨|판|줄|쌍|그릇|숟가락|조각|다발|바퀴|방울|줌|칸|척"
)
# counters that follow both kinds of numerals
_EITHER = re.compile("번(?!지|가|길|선|호|째)|대(?!양|륙|손|조)|권(?!역)|장(?!조)")
_GROUPED = r"\d+(?:,\d{3}(?!\d))*"
_NUMBER = re.compile(
    rf"""(?P<phone>(?<!\d)0\d{{1,2}}[ .)-]+\d{{3,4}}[ .-]\d{{4}}(?!\d))
    |(?P<date>\d{{1,2}}(?:[·‧・ㆍ]\d{{1,2}})+)
    |(?P<low>{_GROUPED})\ ?[~∼〜～–—]\ ?(?P<high>{_GROUPED})
    |(?P<nth>[1-9]\d?)(?=\ ?번\ ?째)
    |(?P<month>6|10)(?=\ ?월)
    |(?P<whole>{_GROUPED})(?:\.(?P<fraction>\d+))?""",
    re.VERBOSE,
)
_JOINING = re.compile(r"(?<=\d)[-ー－](?=\d)")


def sino(number: int) -> str:
    """42 -> 사십이; up to 20 digits."""
    if number == 0:
        return "영"
    groups, place = [], 0
    while number:
        number, group = divmod(number, 10000)
        words = _group(group)
        if words == "일" and place == 1:
            words = ""  # 만, not 일만
        if group:
            groups.append(words + _MYRIADS[place])
        place += 1
    return "".join(reversed(groups))


def native(number: int) -> str:
    """21 -> 스물한, the form before a counter; 1 to 99."""
    if number == 20:
        return "스무"
    tens, ones = divmod(number, 10)
    return _TENS[tens] + _ONES[ones]


def spell_out(text: str) -> str:
    """Replace every number in `text` by its reading: `3마리` -> `세마리`, `6월` -> `유월`.

    Ranges (`3~4명` -> `서너명`), decimals, dates with a dot (`6·25`) and telephone numbers are
    supported. Numbers with a leading zero or more than 20 digits are read digit by digit. A hyphen
    between digits is read as a space. Raises DataError where two readings are usual (`3번` is 세번
    or 삼번).
    """
    text = _JOINING.sub(" ", text)
    pieces, end = [], 0
    for match in _NUMBER.finditer(text):
        pieces += [text[end : match.start()], _read(match, text)]
        end = match.end()
    pieces.append(text[end:])
    return "".join(pieces)


def readings(text: str) -> list[tuple[str, str]]:
    """Each number of `text` with its counter, and its reading: (`3마리`, `세마리`).

    Raises DataError as `spell_out` does.
    """
    text = _JOINING.sub(" ", text)
    found = []
    for match in _NUMBER.finditer(text):
        word = re.match(r"[가-힣]*", text[match.end() :]).group()
        found.append((match.group() + word, _read(match, text).strip() + word))
    return found


def _read(match: re.Match[str], text: str) -> str:
    kind = match.lastgroup
    after = text[match.end() :].lstrip(" ")
    if kind == "phone":
        return " ".join(_one_by_one(part, "공") for part in re.findall(r"\d+", match.group()))
    if kind == "date":
        return _date(*re.findall(r"\d+", match.group()))
    if kind == "high":
        return _range(*(_value(match[name]) for name in ("low", "high")), match, after)
    if kind == "nth":
        return "첫" if match.group() == "1" else native(int(match.group()))
    if kind == "month":
        return _MONTHS[int(match.group())]
    if kind == "fraction":
        return sino(int(_plain(match["whole"])[:20])) + "점" + _one_by_one(match["fraction"])
    return _whole(_plain(match["whole"]), after)


def _date(first: str, *rest: str) -> str:
    """Dates of historic events: the day is read digit by digit (6·25 [육이오], but 12·12 [십이십이])."""
    read = sino if len(first) > 1 else lambda number: _one_by_one(str(number))
    return sino(int(first)) + "".join(read(int(number)) for number in rest)


def _whole(digits: str, after: str) -> str:
    if len(digits) > 20 or (len(digits) > 1 and int(digits[0]) == 0):
        return _one_by_one(digits)
    number = int(digits)
    if _EITHER.match(after) and _has_native(number) and not _decade(number, after):
        readings = f"{native(number)}{after[0]} or {sino(number)}{after[0]}"
        raise DataError(f"'{digits}{after[0]}' is read {readings}; write it in Hangul")
    return native(number) if _counts_in_native(number, after) else sino(number)


def _range(low: int, high: int, match: re.Match[str], after: str) -> str:
    """`3~4` before a counter: 서너 or 삼사; with a larger interval, 에서 is inserted."""
    adjacent = high == low + 1 and 1 <= low <= 8
    if _EITHER.match(after) and not _decade(high, after):
        raise DataError(f"'{match.group()}{after[0]}' has two readings; write it in Hangul")
    if _counts_in_native(high, after):
        first = native(low) if _has_native(low) else sino(low)
        return _ABOUT[low] if adjacent else f"{first}에서 {native(high)}"
    if adjacent and not after.startswith("월"):
        return sino(low) + sino(high)
    month = after.startswith("월")
    return "에서 ".join(_MONTHS.get(n, sino(n)) if month else sino(n) for n in (low, high))


def _counts_in_native(number: int, after: str) -> bool:
    of_the_clock = after.startswith("시") and not after.startswith("시간")
    return bool(_has_native(number) and _NATIVE.match(after)) and not (of_the_clock and number > 12)


def _has_native(number: int) -> bool:
    return 1 <= number <= 99


def _decade(number: int, after: str) -> bool:
    """Ages by decades are Sino-Korean only: 20대 [이십대]."""
    return after.startswith("대") and number % 10 == 0


def _plain(digits: str) -> str:
    return digits.replace(",", "")


def _value(digits: str) -> int:
    return int(_plain(digits)[:20])


def _group(number: int) -> str:
    """1 to 9999 without the unit of ten thousands; 일 is omitted before 십, 백 and 천."""
    words = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            words += ("" if digit == 1 and name else _DIGITS[digit]) + name
    return words


def _one_by_one(digits: str, zero: str = "영") -> str:
    return "".join(_DIGITS[int(digit)] or zero for digit in digits)
