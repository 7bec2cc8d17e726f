import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_songs import FAULTS, damage_csv, damage_notes, damage_text, make_song, write_song
from real_data import LITTLE_STAR, needs_little_star

from voicediff.bin.main import main
from voicediff.corpora.csd.tunes import held_out_tunes, training_tunes
from voicediff.errors import DataError
from voicediff.music import Note, Score, read_score, write_midi
from voicediff.music.cross_check import lint_csd, songs_of
from voicediff.music.lint import lint_song, write_repaired
from voicediff.music.melody import RawNote
from voicediff.music.problems import check_notes
from voicediff.music.repair import repair_csd

SONGS = range(8)


def bare(score: Score) -> Score:
    """The melody without lyrics."""
    notes = tuple(replace(n, syllable="", slur=False, phones=None) for n in score.notes)
    return Score(notes, score.duration, score.title, score.tempo)


def word_lines(score: Score) -> list[str]:
    ends = [*score.phrases[1:], len(score.notes)]
    return [
        "".join("-" if n.slur else n.syllable for n in score.notes[a:b])
        for a, b in zip(score.phrases, ends, strict=True)
    ]


def from_tunes(rest: float) -> list[Score]:
    """Legato tunes of the mini corpus with `rest` beats of silence after each phrase."""
    found = []
    for tune in training_tunes() + held_out_tunes():
        beat, at, notes, phrases = 60 / tune.tempo, 0.5, [], []
        for phrase in tune.phrases:
            phrases.append(len(notes))
            for pitch, beats in phrase:
                notes.append(Note(at, at + beats * beat, 60 + pitch, "라"))
                at += beats * beat
            at += rest * beat
        tempo = ((0.0, tune.tempo),)
        found.append(Score(tuple(notes), at + 1, tune.name, tempo, tuple(phrases)))
    return found


def midi_and_words(score: Score, folder: Path) -> tuple[Path, Path]:
    song, words = folder / "song.mid", folder / "words.txt"
    write_midi(bare(score), song)
    words.write_text("\n".join(word_lines(score)), encoding="utf-8")
    return song, words


def damage_tree(score: Score, root: Path, kind: str, fault: str, at: int) -> bool:
    path = write_song(score, root)
    if kind == "mid":
        notes = damage_notes(list(bare(score).notes), fault, at)
        write_midi(replace(bare(score), notes=tuple(notes)), root / "mid" / "kr001a.mid")
        return [n.pitch for n in notes] != [n.pitch for n in score.notes]
    if kind.startswith("csv"):
        return damage_csv(path, fault, at, kind == "csv column")
    return damage_text(root / kind / "kr001a.txt", fault, at, " " if kind == "txt" else "")


@pytest.mark.parametrize("seed", SONGS)
def test_clean_songs_have_no_problems(seed, tmp_path):
    score = make_song(seed)
    assert lint_csd(write_song(score, tmp_path)) == []
    assert lint_song(*midi_and_words(score, tmp_path)).problems == []
    assert lint_song(tmp_path / "mid" / "kr001a.mid").problems == []


@pytest.mark.parametrize("kind", ["mid", "csv", "csv column", "txt", "lyric"])
def test_every_fault_in_a_csd_tree_is_found_and_located_within_one_syllable(kind, tmp_path):
    injected = located = 0
    for seed in SONGS:
        score = make_song(seed)
        for fault in FAULTS:
            at = random.Random(seed).randrange(len(score.notes))
            if not damage_tree(score, tmp_path, kind, fault, at):
                continue
            found = lint_csd(tmp_path / "csv" / "kr001a.csv")
            assert found, (seed, fault, at)
            injected += 1
            located += any(p.note is not None and abs(p.note - 1 - at) <= 1 for p in found)
    assert injected >= 7
    assert located / injected >= 0.95


@pytest.mark.parametrize(
    ("kind", "fault", "message"),
    [
        ("mid", "drop", "item of csv is not in mid"),
        ("mid", "double", "item of mid is not in csv"),
        ("csv", "drop", "item of mid and txt is not in csv"),
        ("txt", "drop", "item of csv and lyric is not in txt"),
        ("lyric", "double", "item of lyric is not in txt"),
        ("txt", "swap", "txt has notes or syllables"),
        (
            "csv column",
            "swap",
            "csv has notes or syllables 10 and 11 exchanged against lyric and txt",
        ),
    ],
)
def test_the_file_that_differs_from_the_others_is_named(kind, fault, message, tmp_path):
    assert damage_tree(make_song(3), tmp_path, kind, fault, 9)
    found = lint_csd(tmp_path / "csv" / "kr001a.csv")
    assert any(message in problem.message for problem in found), found


@pytest.mark.parametrize("kind", ["mid", "csv", "csv column", "lyric", "txt"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_repaired_song_equals_the_song_before_the_damage(kind, fault, tmp_path):
    score = make_song(3)
    if damage_tree(score, tmp_path, kind, fault, 9):
        paths = repair_csd(tmp_path / "csv" / "kr001a.csv", tmp_path / "fixed")
        assert lint_csd(paths[0]) == []
        restored, before = read_score(paths[0]), read_score(write_song(score, tmp_path))
        assert [n.phones for n in restored.notes] == [n.phones for n in before.notes]
        assert restored.phrases == before.phrases
        for a, b in zip(restored.notes, before.notes, strict=True):
            assert a.pitch == b.pitch and a.start == pytest.approx(b.start, abs=1e-3)


def phrase_named(problems: list, line: int) -> bool:
    return {int(re.match(r"line (\d+)", p.message).group(1)) for p in problems} == {line}


def test_every_count_mismatch_of_midi_and_lyrics_is_found_in_its_phrase(tmp_path):
    injected = named = 0
    for seed, score in enumerate([*map(make_song, SONGS), *from_tunes(rest=0.5)]):
        song, words = midi_and_words(score, tmp_path)
        for file in ("notes", "words"):
            for fault in ("drop", "double"):
                at = random.Random(seed).randrange(len(score.notes))
                song, words = midi_and_words(score, tmp_path)
                if file == "notes":
                    notes = damage_notes(list(bare(score).notes), fault, at)
                    write_midi(replace(bare(score), notes=tuple(notes)), song)
                else:
                    damage_text(words, fault, at, "")
                problems = lint_song(song, words).problems
                assert problems, (score.title, file, fault, at)
                line = sum(begin <= at for begin in score.phrases)
                injected += 1
                named += phrase_named(problems, line)
    assert injected >= 70
    assert named / injected >= 0.9


@pytest.mark.parametrize("fault", ["drop", "double"])
@pytest.mark.parametrize("seed", range(4))
def test_a_fixed_song_has_no_problems_and_can_be_read(seed, fault, tmp_path):
    score = make_song(seed)
    song, words = midi_and_words(score, tmp_path)
    damage_text(words, fault, 5, "")
    paths = write_repaired(lint_song(song, words), song, words)
    assert [path.name for path in paths] == ["song.fixed.mid", "words.fixed.txt"]
    assert lint_song(*paths).problems == []
    assert len(read_score(*paths).notes) == len(score.notes) + (fault == "double")


@needs_little_star
def test_a_real_song_is_clean_and_injected_faults_are_found(tmp_path):
    song, words = LITTLE_STAR / "mid" / "little_star.mid", LITTLE_STAR / "txt" / "little_star.txt"
    assert lint_song(song, words).problems == []
    lines = words.read_text(encoding="utf-8-sig").splitlines()
    for at in range(0, 42, 5):
        for fault in ("drop", "double"):
            damaged = tmp_path / "words.txt"
            damaged.write_text("\n".join(lines), encoding="utf-8")
            damage_text(damaged, fault, at, "")
            assert phrase_named(lint_song(song, damaged).problems, at // 14 + 1)


def two_notes(folder: Path, **change) -> Path:
    path = folder / "song.mid"
    notes = (Note(0, 1, 60, "반"), replace(Note(1, 2, 62, "짝"), **change))
    write_midi(Score(notes, 3.0), path)
    return path


def test_a_note_without_lyric_event_is_named(tmp_path):
    (problem,) = lint_song(two_notes(tmp_path, syllable="")).problems
    assert (problem.kind, problem.note, problem.time) == ("note_without_syllable", 2, 1.0)
    assert "`-`" in problem.suggestion


def test_range_suggests_an_octave(tmp_path):
    notes = [RawNote(0, 1, 30), RawNote(1, 2, 35)]
    found = check_notes(notes, ((0.0, 120.0),), "song.mid")
    assert [(p.kind, p.note, p.suggestion) for p in found] == [
        ("range", 1, "transpose by +12"),
        ("range", 2, "transpose by +12"),
    ]


def test_overlaps_are_reported_and_legato_is_not():
    notes = [RawNote(0, 1.04, 60), RawNote(1, 2.5, 60), RawNote(2, 3, 62)]
    (problem,) = check_notes(notes, ((0.0, 120.0),), "song.mid")
    assert (problem.kind, problem.note, problem.time) == ("overlap", 3, 2)


@pytest.mark.parametrize("bpm", [12.0, 400.0])
def test_an_implausible_tempo_is_reported(bpm):
    (problem,) = check_notes([RawNote(0, 1, 60)], ((0.0, bpm),), "song.mid")
    assert problem.kind == "tempo"


def test_too_short_notes_are_an_implausible_tempo():
    notes = [RawNote(i / 20, (i + 1) / 20, 60) for i in range(9)]
    assert [p.kind for p in check_notes(notes, ((0.0, 120.0),), "song.mid")] == ["tempo"]


def test_words_that_cannot_be_pronounced_are_named_and_not_fixed(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("반짝\nlove\n", encoding="utf-8")
    findings = lint_song(two_notes(tmp_path), words)
    assert [p.kind for p in findings.problems] == ["unpronounceable"]
    assert "words.txt:2: 'love'" in findings.problems[0].message
    with pytest.raises(DataError, match="correct the unpronounceable words"):
        write_repaired(findings, tmp_path / "song.mid", words)


def test_a_missing_file_is_reported(tmp_path):
    path = write_song(make_song(0), tmp_path)
    (tmp_path / "lyric" / "kr001a.txt").unlink()
    (problem,) = lint_csd(path)
    assert problem.kind == "missing_file" and "lyric" in problem.message


def test_the_songs_of_a_tree_are_listed(tmp_path):
    path = write_song(make_song(0), tmp_path / "korean")
    assert songs_of(tmp_path) == songs_of(path) == [path]
    with pytest.raises(DataError, match="no csv files"):
        songs_of(tmp_path / "korean" / "txt")


def test_the_program_exits_0_without_problems(tmp_path, capsys):
    assert main(["lint", *map(str, midi_and_words(make_song(1), tmp_path))]) == 0
    assert "no problems" in capsys.readouterr().out


def test_the_program_exits_1_and_prints_json(tmp_path, capsys):
    song, words = midi_and_words(make_song(1), tmp_path)
    damage_text(words, "drop", 3, "")
    assert main(["lint", "--json", "--fix", str(song), str(words)]) == 1
    (problem,) = json.loads(capsys.readouterr().out)
    assert set(problem) == {"kind", "note", "syllable", "time", "message", "suggestion"}
    assert (tmp_path / "words.fixed.txt").exists()


@pytest.mark.parametrize("content", [b"", b"MThd\x00\x00"])
def test_the_program_exits_2_for_unusable_files(content, tmp_path, capsys):
    song, words = midi_and_words(make_song(1), tmp_path)
    song.write_bytes(content)
    assert main(["lint", str(song), str(words)]) == 2
    error = capsys.readouterr().err.strip()
    assert "damaged or no MIDI file" in error and "\n" not in error


def test_the_program_checks_a_whole_tree(tmp_path, capsys):
    write_song(make_song(0), tmp_path, "kr001a")
    path = write_song(make_song(1), tmp_path, "kr002a")
    damage_csv(path, "drop", 4, False)
    assert main(["lint", "--fix", str(tmp_path)]) == 1
    assert "kr002a" in capsys.readouterr().out
    assert main(["lint", str(tmp_path / "fixed")]) == 0
    assert [song.stem for song in songs_of(tmp_path)] == ["kr001a", "kr002a"]
