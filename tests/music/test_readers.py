import tempfile
import zipfile
from pathlib import Path

import mido
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_data import LITTLE_STAR, needs_little_star

from voicediff.errors import DataError
from voicediff.music import Note, Score, read_score, write_csd, write_midi
from voicediff.music.midi import read_midi
from voicediff.music.tempo import TempoMap


def song() -> Score:
    notes = (
        Note(0.5, 1.0, 60, "나", phones=("n", "a")),
        Note(1.0, 1.5, 62, "비", phones=("b", "i")),
        Note(1.5, 2.0, 64, "야", phones=("y", "a")),
        Note(2.0, 2.25, 65, "아", slur=True, phones=("a",)),
        Note(3.0, 4.0, 60, "이", phones=("i",)),
        Note(4.0, 4.5, 59, "리", phones=("r", "i")),
    )
    return Score(notes, 5.0, "나비", ((0.0, 100.0), (2.0, 80.0)), (0, 4), (0, 4))


def midi(path: Path, *events, tracks: int = 1, **fields) -> Path:
    """A file of (message name, options) with delta times in ticks of 1/480 beat."""
    file = mido.MidiFile(ticks_per_beat=480, charset=fields.pop("charset", "utf-8"))
    for _ in range(tracks):
        track = file.add_track()
        for name, options in events:
            kind = mido.Message if name.startswith("note") else mido.MetaMessage
            track.append(kind(name, **options))
    file.save(path)
    return path


def on(pitch: int, time: int = 0):
    return "note_on", {"note": pitch, "velocity": 90, "time": time}


def off(pitch: int, time: int = 480):
    return "note_off", {"note": pitch, "time": time}


def words(folder: Path, text: str) -> Path:
    path = folder / "words.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_midi_keeps_notes_lyrics_lines_words_and_tempo(tmp_path):
    write_midi(song(), tmp_path / "song.mid")
    found = read_score(tmp_path / "song.mid")
    assert [(n.pitch, n.slur) for n in found.notes] == [(n.pitch, n.slur) for n in song().notes]
    assert [n.syllable for n in found.notes] == ["나", "비", "야", "", "이", "리"]
    assert (found.phrases, found.words) == ((0, 4), (0, 4))
    for a, b in zip(found.notes, song().notes, strict=True):
        assert (a.start, a.end) == pytest.approx((b.start, b.end), abs=1e-3)
    assert found.duration == pytest.approx(5.0, abs=1e-3)
    assert [bpm for _, bpm in found.tempo] == pytest.approx([100, 80], abs=1e-3)
    assert [time for time, _ in found.tempo] == pytest.approx([0, 2], abs=1e-3)


def test_lyrics_of_a_text_file_are_assigned_to_the_notes(tmp_path):
    path = midi(tmp_path / "a.mid", on(60), off(60), on(62), off(62), on(64, 480), off(64))
    found = read_score(path, words(tmp_path, "반짝\n별"))
    assert [n.syllable for n in found.notes] == ["반", "짝", "별"]
    assert (found.phrases, found.words) == ((0, 2), (0, 2))
    found = read_score(path, words(tmp_path, "반-\n별"))
    assert [n.slur for n in found.notes] == [False, True, False]


def test_tempo_changes_of_all_tracks_count(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    file.add_track().extend(
        [mido.MetaMessage("set_tempo", tempo=500000), mido.MetaMessage("end_of_track")]
    )
    second = file.add_track()
    second.append(mido.Message("note_on", note=60, velocity=1))
    second.append(mido.Message("note_off", note=60, time=480))
    third = file.add_track()
    third.append(mido.MetaMessage("set_tempo", tempo=1000000, time=240))
    file.save(tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid").notes[0].end == pytest.approx(0.25 + 0.5)


@given(st.lists(st.tuples(st.integers(0, 10000), st.floats(20, 300)), max_size=8))
def test_ticks_and_seconds_are_inverse(changes):
    tempo = TempoMap.of(changes, 480)
    for tick in (0, 1, 479, 5000, 20000):
        assert tempo.to_ticks(tempo.to_seconds(tick)) == pytest.approx(tick, abs=1e-6)
    assert list(tempo.seconds) == sorted(tempo.seconds)


def test_legato_is_trimmed_and_larger_overlaps_are_rejected(tmp_path):
    path = midi(tmp_path / "a.mid", on(60), on(62, 460), off(60, 20), off(62))
    first, second = read_score(path, words(tmp_path, "반짝")).notes
    assert first.end == second.start == pytest.approx(460 / 960)
    path = midi(tmp_path / "b.mid", on(60), on(62, 300), off(60, 180), off(62))
    with pytest.raises(DataError, match=r"note 2 at 0\.31 s begins 0\.19 s before note 1 ends"):
        read_score(path, words(tmp_path, "반짝"))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "no notes"),
        ([on(60)], "never ends"),
        ([on(60), off(60)], "no lyrics in the file"),
        ([("lyrics", {"text": "가"}), on(60), off(60), on(62), off(62)], "note 2 at 0.50 s has no"),
        ([("lyrics", {"text": "반짝"}), on(60), off(60)], "2 syllables"),
        ([("lyrics", {"text": "hi"}), on(60), off(60)], "Latin letters"),
        (
            [("lyrics", {"text": "가"}), on(60), off(60), ("lyrics", {"text": "나", "time": 99})],
            "belongs to no note",
        ),
    ],
)
def test_midi_that_cannot_be_sung_is_an_error_with_a_reason(tmp_path, events, message):
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        read_score(midi(tmp_path / "a.mid", *events))


def test_several_tracks_with_notes_are_rejected_unless_one_has_the_lyrics(tmp_path):
    path = midi(tmp_path / "a.mid", on(60), off(60), tracks=2)
    with pytest.raises(DataError, match="2 tracks with notes"):
        read_score(path, words(tmp_path, "가"))


def test_lyrics_in_another_encoding_are_an_error(tmp_path):
    path = midi(tmp_path / "a.mid", ("lyrics", {"text": "가"}), on(60), off(60), charset="cp949")
    with pytest.raises(DataError, match="lyric events are not UTF-8"):
        read_score(path)
    words_path = tmp_path / "words.txt"
    words_path.write_bytes("가".encode("cp949"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_score(midi(tmp_path / "b.mid", on(60), off(60)), words_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("반짝별", "2 notes but 3 syllables, no note from line 1"), ("반", "no syllable from note 2")],
)
def test_a_count_mismatch_error_names_the_place(tmp_path, text, message):
    path = midi(tmp_path / "a.mid", on(60), off(60), on(62), off(62))
    with pytest.raises(DataError, match=message):
        read_score(path, words(tmp_path, text))


def test_a_truncated_midi_file_is_a_data_error_wherever_it_ends(tmp_path):
    write_midi(song(), tmp_path / "song.mid")
    content = (tmp_path / "song.mid").read_bytes()
    for size in range(0, len(content) - 4, 3):
        (tmp_path / "cut.mid").write_bytes(content[:size])
        with pytest.raises(DataError):
            read_score(tmp_path / "cut.mid")


def test_a_csd_tree_is_read_as_written(tmp_path):
    write_csd(song(), tmp_path, "kr001a")
    found = read_score(tmp_path / "csv" / "kr001a.csv")
    assert found.notes == song().notes
    assert (found.phrases, found.words, found.title) == ((0, 4), (0, 4), "kr001a")
    assert (tmp_path / "txt" / "kr001a.txt").read_text() == "n_a b_i y_a a\ni r_i\n"
    assert (tmp_path / "lyric" / "kr001a.txt").read_text(encoding="utf-8") == "나비야아\n이리\n"
    assert (tmp_path / "csv" / "kr001a.csv").read_text().splitlines()[:2] == [
        "start,end,pitch,syllable",
        "0.500000,1.000000,60,n_a",
    ]


def test_a_csd_csv_without_other_files_gives_its_phones(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufeffstart,end,pitch,syllable\n0,1,60,g_w_a\n1,2,62,a_ng\n", "utf-8")
    found = read_score(path)
    assert [n.phones for n in found.notes] == [("g", "w", "a"), ("a", "ng")]
    assert [n.slur for n in found.notes] == [False, True]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("txt/kr001a.txt", "n_a b_i", "2 syllables but 6 notes in kr001a.csv"),
        ("txt/kr001a.txt", "n_a q_i", "kr001a.txt:1: unknown phone 'q'"),
        ("txt/kr001a.txt", "", "no phones"),
        ("lyric/kr001a.txt", "나비", "2 syllables but 6 notes"),
        ("csv/kr001a.csv", "a,b\n", "kr001a.csv:1: columns"),
        ("csv/kr001a.csv", "start,end,pitch,syllable\n0,x,60,a\n", "kr001a.csv:2: '0,x,60,a' is"),
        ("csv/kr001a.csv", "start,end,pitch,syllable\n0,1,600,a\n", "kr001a.csv:2: pitch 600"),
        ("csv/kr001a.csv", "start,end,pitch,syllable\n", "no notes"),
    ],
)
def test_damaged_csd_files_name_file_and_line(tmp_path, file, text, message):
    write_csd(song(), tmp_path, "kr001a")
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_score(tmp_path / "csv" / "kr001a.csv")


USTX = {
    "name": "나비",
    "resolution": 480,
    "tempos": [{"position": 0, "bpm": 120}, {"position": 960, "bpm": 60}],
    "voice_parts": [
        {
            "track_no": 0,
            "position": 480,
            "notes": [
                {"position": 0, "duration": 480, "tone": 60, "lyric": "나"},
                {"position": 480, "duration": 480, "tone": 62, "lyric": "+~"},
                {"position": 960, "duration": 240, "tone": 64, "lyric": "R"},
                {"position": 1200, "duration": 480, "tone": 65, "lyric": "비"},
            ],
        }
    ],
}


def test_an_openutau_project_is_read(tmp_path):
    path = tmp_path / "song.ustx"
    path.write_text(yaml.safe_dump(USTX, allow_unicode=True), encoding="utf-8")
    found = read_score(path)
    assert [(n.start, n.end, n.pitch) for n in found.notes] == [
        (0.5, 1.0, 60),
        (1.0, 2.0, 62),
        (2.5, 3.5, 65),
    ]
    assert [(n.syllable, n.slur) for n in found.notes] == [("나", False), ("", True), ("비", False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("voice_parts: []", "no notes"),
        ("- 1", "no OpenUtau project"),
        ("a: [", "not YAML"),
        ("voice_parts: [{notes: [{position: 0}]}]", "not an OpenUtau project"),
        ("tempos: [{position: 0, bpm: 0}]", "tempo 0.0 at tick"),
    ],
)
def test_damaged_projects_are_data_errors(tmp_path, text, message):
    path = tmp_path / "song.ustx"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_score(path)


XML = """<?xml version="1.0"?><score-partwise><work><work-title>나비</work-title></work>
<part id="P1"><measure number="1"><attributes><divisions>2</divisions></attributes>
<direction><sound tempo="60"/></direction>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration>
 <lyric><syllabic>begin</syllabic><text>나</text></lyric></note>
<note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch><duration>1</duration>
 <tie type="start"/><notations><slur type="start"/></notations>
 <lyric><syllabic>end</syllabic><text>비</text></lyric></note>
<note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch><duration>1</duration>
 <tie type="stop"/></note>
<note><pitch><step>D</step><octave>4</octave></pitch><duration>2</duration>
 <notations><slur type="stop"/></notations></note>
</measure><measure number="2"><note><rest/><duration>2</duration></note>
<note><pitch><step>E</step><octave>4</octave></pitch><duration>4</duration>
 <lyric><text>야</text></lyric></note>BAR</measure></part></score-partwise>"""


def test_musicxml_is_read_with_ties_slurs_rests_and_tempo(tmp_path):
    path = tmp_path / "song.musicxml"
    path.write_text(XML.replace("BAR", ""), encoding="utf-8")
    found = read_score(path)
    assert [(n.start, n.end, n.pitch, n.syllable, n.slur) for n in found.notes] == [
        (0, 1, 60, "나", False),
        (1, 2, 58, "비", False),
        (2, 3, 62, "", True),
        (4, 6, 64, "야", False),
    ]
    assert (found.title, found.duration, found.words) == ("나비", 6.0, (0, 3))


def test_a_compressed_score_is_the_same_score(tmp_path):
    plain, packed = tmp_path / "song.musicxml", tmp_path / "song.mxl"
    plain.write_text(XML.replace("BAR", ""), encoding="utf-8")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>',
        )
        archive.write(plain, "a.xml")
    assert read_score(packed) == read_score(plain)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            XML.replace("BAR", "<barline><repeat direction='backward'/></barline>"),
            "repeat sign in m",
        ),
        ("<score-timewise/>", "instead of <score-partwise>"),
        ("<score-partwise/>", "no notes"),
        ("<a", "not XML"),
        ("PK", "damaged .mxl"),
        (XML.replace("<step>C", "<step>X"), "damaged MusicXML"),
    ],
)
def test_musicxml_that_cannot_be_sung_is_an_error_with_a_reason(tmp_path, text, message):
    path = tmp_path / "song.xml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_score(path)


def test_an_unknown_extension_error_lists_the_supported_ones(tmp_path):
    with pytest.raises(DataError, match=r"supported extensions: \.mid"):
        read_score(tmp_path / "song.pdf")


@pytest.mark.parametrize("ending", [".mid", ".musicxml", ".ustx", ".csv", ".json"])
def test_a_missing_file_is_a_data_error(tmp_path, ending):
    with pytest.raises(DataError, match="No such file"):
        read_score(tmp_path / f"song{ending}")


def read_or_reject(content: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"song{ending}"
        path.write_bytes(content)
        try:
            score = read_score(path)
        except DataError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(score, Score)


def samples() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_midi(song(), Path(folder) / "song.mid")
        content = (Path(folder) / "song.mid").read_bytes()
    return {
        ".mid": content,
        ".ustx": yaml.safe_dump(USTX, allow_unicode=True).encode(),
        ".musicxml": XML.replace("BAR", "").encode(),
        ".csv": b"start,end,pitch,syllable\n0,1,60,g_w_a\n1,2,62,a_ng\n",
    }


SAMPLES = samples()
fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("ending", [".mid", ".ustx", ".musicxml", ".mxl", ".csv", ".json"])
@fuzz
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_rejectd(ending, content):
    read_or_reject(content, ending)


@pytest.mark.parametrize("ending", sorted(SAMPLES))
@fuzz
@given(data=st.data())
def test_any_damage_to_a_file_is_read_or_rejectd(ending, data):
    content = bytearray(SAMPLES[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "insert", "drop"]))
        byte = data.draw(
            st.binary(min_size=1, max_size=3) | st.sampled_from([b"-", b"9", b"e", b":"])
        )
        stop = {"change": place + len(byte), "insert": place, "drop": place + 5}[kind]
        content[place:stop] = b"" if kind == "drop" else byte
        if not content:
            break
    read_or_reject(bytes(content), ending)


numbers = st.floats() | st.integers() | st.none() | st.text(max_size=5) | st.booleans()


@fuzz
@given(
    st.lists(st.fixed_dictionaries({k: numbers for k in ("position", "duration", "tone", "lyric")}))
)
def test_any_values_in_a_project_are_read_or_rejectd(notes):
    project = {"voice_parts": [{"notes": notes}]}
    read_or_reject(yaml.safe_dump(project, allow_unicode=True).encode("utf-8", "ignore"), ".ustx")


@fuzz
@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=6))
def test_any_values_in_a_csv_are_read_or_rejectd(rows):
    text = "start,end,pitch,syllable\n" + "\n".join(",".join(map(str, row)) for row in rows)
    read_or_reject(text.encode("utf-8", "ignore"), ".csv")


@needs_little_star
def test_a_real_song_has_its_42_syllables():
    found = read_score(
        LITTLE_STAR / "mid" / "little_star.mid", LITTLE_STAR / "txt" / "little_star.txt"
    )
    assert len(found.notes) == 42 and len(found.phrases) == 3
    assert found.duration == pytest.approx(28.0, abs=0.01)
