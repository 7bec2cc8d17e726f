"""Tables in Markdown and in a terminal have equal content and mark the best values."""

import re

from voicediff.report.table import Column, Row, Table, markdown, plain

COLUMNS = (
    Column("mcd", "MCD", "dB", "lower"),
    Column("inside", "within 50 cents", "%", "higher", digits=1, scale=100.0),
    Column("variance", "variance ratio", "", "near", 1.0),
    Column("nfe", "NFE", digits=0),
)
ROWS = (
    Row("natural", "recording", {"inside": 0.951, "variance": 1.0}, reference=True),
    Row("mu", "encoder | mu", {"mcd": 5.0, "inside": 0.975, "variance": 0.9, "nfe": 0}),
    Row("nfe_4", "NFE 4", {"mcd": 5.004, "inside": 0.9, "variance": 1.05, "nfe": 4}),
    Row("nfe_10", "NFE 10", {"mcd": float("nan"), "inside": None, "variance": 1.2, "nfe": 10}),
)
TABLE = Table("all", COLUMNS, ROWS)


def test_markdown_has_the_same_number_of_cells_in_every_line():
    lines = markdown(TABLE).splitlines()
    assert len(lines) == 2 + len(ROWS)
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(line) for line in cells} == {1 + len(COLUMNS)}
    assert lines[0] == "| row | MCD (dB) ↓ | within 50 cents (%) ↑ | variance ratio →1 | NFE |"
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"


def test_pipe_in_a_title_does_not_break_the_table():
    assert r"| encoder \| mu |" in markdown(TABLE)


def test_what_was_not_measured_is_a_dash():
    assert markdown(TABLE).splitlines()[-1] == "| NFE 10 | – | – | 1.20 | 10 |"


def test_best_follows_the_direction_and_leaves_references_out():
    assert TABLE.best["inside"] == {"mu"}
    assert TABLE.best["variance"] == {"nfe_4"}
    assert TABLE.best["nfe"] == frozenset()


def test_best_is_nearest_to_the_goal_row():
    column = Column("inside", "within", "%", "near", "natural", scale=100.0)
    assert column.heading == "within (%) →natural"
    assert Table("", [column], ROWS).best["inside"] == {"mu"}
    rows = [Row("natural", "recording", {"inside": 0.92}, reference=True), *ROWS[1:]]
    assert Table("", [column], rows).best["inside"] == {"nfe_4"}
    assert Table("", [column], ROWS[1:]).best["inside"] == frozenset()


def test_values_with_equal_text_are_both_best():
    assert TABLE.best["mcd"] == {"mu", "nfe_4"}


def test_a_single_value_is_not_marked():
    alone = Table("one", COLUMNS[:1], ROWS[:2])
    assert alone.best["mcd"] == frozenset()


def test_plain_table_aligns_hangul():
    rows = [Row("a", "노래", {"mcd": 1.0}), Row("b", "song", {"mcd": 12.0})]
    lines = plain(Table("", COLUMNS[:1], rows)).splitlines()
    assert lines[3].startswith("노래  ") and lines[4].startswith("song  ")
    assert lines[3].index("1.00*") + 2 == lines[4].index("12.00") + 1
