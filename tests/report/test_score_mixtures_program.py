"""`voicediff score-mixtures` on sources with noise of known level: metrics, groups, page, errors."""

import json

import numpy as np
import pytest

from voicediff.audio import write_wav
from voicediff.bin.main import main
from voicediff.bin.score_mixtures import by_pair
from voicediff.data.separation.disturbed import ALIGNED, CONDITIONS
from voicediff.data.separation.mixtures import Mixture, MixtureList, Source
from voicediff.files import write_json
from voicediff.report.robustness import judged
from voicediff.report.separation_examples import one_of_each_kind
from voicediff.report.separation_rows import MASKS, MIXTURE, TRUTH, read_separated

RATE, FRAMES = 16000, 25
NOISE = {MASKS[0]: -20.0, "predictor": -10.0, "nfe_2": -12.0}  # dB relative to the source
PAIRS = ("same-voice", "different-gender", "same-gender")
EXPERIMENT = "exp/tiny/separate_own"


def voices(seed):
    """Two sources (2, N): bursts of filtered noise, as ESTOI needs."""
    draw, count = np.random.default_rng(seed), FRAMES * 640
    loud = np.repeat(draw.random((2, count // 1600)) > 0.3, 1600, axis=1)
    noise = np.cumsum(draw.standard_normal((2, count)), 1)
    return (0.05 * np.diff(noise, n=1, axis=1, prepend=0) * loud).astype(np.float32)


def with_noise(target, level, seed):
    noise = np.random.default_rng(seed).standard_normal(target.shape)
    noise -= (noise @ target) / (target @ target) * target
    gain = 10 ** (level / 20) * np.linalg.norm(target) / np.linalg.norm(noise)
    return (target + gain * noise).astype(np.float32)


def tracks_of(row, truth, seed):
    if row == TRUTH:
        return truth
    if row == MIXTURE:
        return np.stack([truth.sum(0)] * 2)
    return [with_noise(voice, NOISE[row], 7 * seed + k) for k, voice in enumerate(truth)]


def separated_folder(root, pairs):
    folder = root / EXPERIMENT
    mixtures = tuple(
        Mixture(f"test-own-{n}", pair, FRAMES, (Source("a-1", 0, 0.0), Source("b-1", 0, 0.0)))
        for n, pair in enumerate(pairs)
    )
    made = MixtureList("own", "test", mixtures)
    made.write(folder / "mixtures.json")
    for row in (TRUTH, MIXTURE, *NOISE):
        nfe = {"predictor": 0, "nfe_2": 2}.get(row)
        info = {"row": row, "title": f"the {row}", "nfe": nfe, "list": made.hash}
        write_json(folder / row / "info.json", info | ({} if nfe is None else {"own_nfe": 2}))
        for number, mixture in enumerate(mixtures):
            for k, track in enumerate(tracks_of(row, voices(number), number), 1):
                write_wav(folder / row / "wav" / f"{mixture.id}_{k}.wav", track, RATE)
    return folder


@pytest.fixture
def separated(tmp_path):
    return separated_folder(tmp_path, PAIRS)


def score(folder, *more):
    return main(["score-mixtures", "--decoded", str(folder), *more])


def error_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    (line,) = (x for x in lines if x.startswith("voicediff score-mixtures"))
    return line


def robustness(**changes):
    good = [{"si_sdri": 8.0, "selected": 1.0}] * 20
    found = {condition: changes.get(condition.name, good) for condition in CONDITIONS}
    return {"title": "predictor alone", "mixtures": 10, **judged(found)}


def test_metrics_are_those_of_the_known_noise(separated, capsys):
    write_json(separated / "robustness.json", robustness(missing=[{"si_sdri": -3.0}] * 20))
    assert score(separated, "--examples", "1", "--nj", "2") == 0
    scores = json.loads((separated / "scores.json").read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in scores["rows"]}
    assert list(rows) == [MIXTURE, MASKS[0], "predictor", "nfe_2"]
    for name, level in NOISE.items():
        found = rows[name]["scores"]
        assert found["all"]["si_sdr"] == pytest.approx(-level, abs=0.1)
        before = rows[MIXTURE]["scores"]["all"]["si_sdr"]
        assert found["all"]["si_sdri"] == pytest.approx(-level - before, abs=0.1)
        assert found["all"]["selected"] == 1.0
        assert set(found) == {"all", "different voices", *PAIRS}
        both = [found["different-gender"]["si_sdri"], found["same-gender"]["si_sdri"]]
        assert found["different voices"]["si_sdri"] == pytest.approx(np.mean(both))
        track = rows[name]["tracks"]["test-own-1_2"]
        assert track["si_sdr"] == pytest.approx(-level, abs=0.1)
    assert rows[MIXTURE]["scores"]["all"]["si_sdri"] == 0
    assert scores["robustness"]["passed"] is False

    printed = capsys.readouterr().out
    assert str(separated / "nfe_2") in printed and "different speakers\n" in printed
    results = (separated / "RESULTS.md").read_text(encoding="utf-8")
    assert "| missing: FAILED | -3.00 |" in results and "robustness**: FAILED" in results
    assert "mixture, predictor, final, ground truth](pictures/test-own-0.png)" in results
    page = (separated / "index.html").read_text(encoding="utf-8")
    assert "Same speaker: test-own-0" in page and "test-own-1, speaker" not in page
    assert "Separated track: the nfe_2 (SI-SDRi" in page and "The mixture" in page


def test_a_list_of_single_speakers_has_a_table(tmp_path, capsys):
    assert score(separated_folder(tmp_path, ["one-voice"]), "--examples", "0") == 0
    printed = capsys.readouterr().out
    assert "all mixtures\n" in printed and "the predictor" in printed


def test_the_page_shows_each_kind_of_pair_in_turn(separated):
    mixtures = read_separated(separated)[0].mixtures
    twice = [*mixtures, *mixtures]
    assert [m.pair for m in one_of_each_kind(twice, 4)] == [*PAIRS, PAIRS[0]]


def test_single_speakers_do_not_count_as_different_speakers():
    found = by_pair([{"si_sdri": 1.0}, {"si_sdri": 3.0}], ["one-voice", "same-gender"])
    assert found["different voices"]["si_sdri"] == 3.0 and found[""]["si_sdri"] == 2.0


def test_lost_tracks_foreign_rows_and_missing_rows_are_named(separated, capsys):
    (separated / "nfe_2" / "wav" / "test-own-1_2.wav").unlink()
    assert score(separated) == 2
    assert "nfe_2/wav: test-own-1_2.wav missing (1 of 6 are); run stage 4" in error_line(capsys)
    info = json.loads((separated / "predictor" / "info.json").read_text(encoding="utf-8"))
    write_json(separated / "predictor" / "info.json", info | {"list": "0123"})
    assert score(separated) == 2
    assert "predictor: made of list 0123, the others of" in error_line(capsys)
    for row in (TRUTH, "nfe_2", "predictor"):
        (separated / row / "info.json").unlink()
    assert score(separated) == 2
    assert "truth: missing; run stage 4 (separation) again" in error_line(capsys)
    assert not (separated / "scores.json").exists()


def test_an_empty_folder_and_wrong_numbers_are_errors(tmp_path, separated, capsys):
    assert score(tmp_path) == 2
    assert "no separated mixtures here; run stage 4" in error_line(capsys)
    assert score(separated, "--nj", "0") == 2
    assert "--nj: expected 1 or more, found 0" in error_line(capsys)
    assert score(separated, "--examples", "-1") == 2
    assert "--examples: expected 0 or more, found -1" in error_line(capsys)


def test_returning_the_unprocessed_mixture_is_not_robust():
    nothing = [{"si_sdri": 0.0, "selected": 0.5}] * 20
    found = judged(dict.fromkeys(CONDITIONS, nothing))
    failed = {row["name"] for row in found["conditions"] if not row["passed"]}
    assert failed == {"shift_-40ms", "shift_+40ms"} and not found["passed"]


def test_each_robustness_threshold_is_applied():
    assert robustness()["passed"]
    worse = [{"si_sdri": 8.0}] * 18 + [
        {"si_sdri": -1.5}
    ] * 2  # 90 % of the tracks above the limit, a good mean
    mean = [{"si_sdri": -0.6}] * 20
    kept = [{"si_sdri": 0.79 * 8.0}] * 20
    for change in ({"frozen": worse}, {"blurred": mean}, {"shift_+40ms": kept}):
        found = robustness(**change)
        failed = [row["name"] for row in found["conditions"] if not row["passed"]]
        assert failed == list(change) and not found["passed"]
    assert robustness(**{"shift_+80ms": kept})["passed"]
    row = robustness(**{"shift_+40ms": kept})["conditions"][-5]
    assert row["name"] == "shift_+40ms" and row["kept"] == pytest.approx(0.79)


def test_confidence_is_correlated_with_quality():
    tracks = [{"si_sdri": float(n), "confidence": n / 10} for n in range(10)]
    found = judged({ALIGNED: tracks})
    assert found["confidence_rank_correlation"] == pytest.approx(1.0)
    assert found["conditions"][0]["confidence"] == pytest.approx(0.45)
    assert judged({ALIGNED: [{"si_sdri": 1.0}] * 4})["confidence_rank_correlation"] is None
    assert not judged({ALIGNED: [{}]})["passed"]
