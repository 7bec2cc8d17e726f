"""The results as rows of the table in the documentation: scores with each fault and its correction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A fault and its correction, by the names of their results; `/` selects inside an entry."""

    title: str
    fault: str
    cure: str = "healthy"
    cured: str = "healthy separator"


CASES = (
    Case("1 desynchronised video", "desynchronised"),
    Case("2 two transforms (ideal mask)", "stft/mismatched", "stft/matched", "one transform"),
    Case("3 24 updates", "accumulated"),
    Case(
        "3 average with decay 0.999",
        "healthy/average",
        "healthy/warmed average",
        "warm-up of the decay",
    ),
    Case("4 four people", "few people"),
    Case("5 16, 8, 4 tokens, no positions", "coarse attention", "healthy", "FiLM at every frame"),
    Case("6 frozen in train mode", "batch statistics"),
    Case("7 no video", "without video"),
    Case("8 `ouve` from the mixture", "ouve", "bridge", "bridge, trained at t_max"),
    Case("9 concatenated clips", "end to end"),
)
HEAD = (
    "| fault | different speakers | same speaker | right speaker | correction | different speakers |"
    " same speaker | right speaker |\n|---|---|---|---|---|---|---|---|"
)


def rows(results: dict) -> list[str]:
    """The rows of all cases: SI-SDRi in dB and selection in per cent."""
    found = []
    for case in CASES:
        fault, cure = entry(results, case.fault), entry(results, case.cure)
        found.append(f"| {case.title} | {_cells(fault)} | {case.cured} | {_cells(cure)} |")
    return found


def details(results: dict) -> list[str]:
    """One line for each further measurement, in the order of the faults."""
    clean = {name: results["stft"][name]["clean"]["median"] for name in ("matched", "mismatched")}
    few, whole = results["few people"], results["healthy"]
    coarse, placed = results["coarse attention"], results["placed attention"]
    frozen, joined = results["batch statistics"], results["end to end"]
    ouve, bridge = results["ouve"]["follows"], results["bridge"]["follows"]
    lines = {
        "2 clean sources, two transforms / one, median": _pair(
            clean["mismatched"], clean["matched"]
        ),
        f"4 {few['people']} people: SI-SDRi on them / on other people": _pair(
            overall(few["training people"]), overall(few)
        ),
        f"4 {few['all people']} people: SI-SDRi on them / on other people": _pair(
            overall(whole["training people"]), overall(whole)
        ),
        "5 without positions, frames in order / shuffled": _pair(
            overall(coarse), coarse["shuffled"]
        ),
        "5 with positions, frames in order / shuffled": _pair(overall(placed), placed["shuffled"]),
        "5 FiLM, frames in order / shuffled": _pair(overall(whole), whole["shuffled"]),
        "6 trained in train mode, tested in eval mode / in train mode": _pair(
            overall(frozen), overall(frozen["left in"])
        ),
        "7 SI-SDR between the outputs for both faces, without / with video": _pair(
            results["without video"]["swap"], whole["swap"]
        ),
        "8 follows the face at t_max, `ouve` / `bridge`": _shares(ouve, bridge, -1),
        "8 follows the face at mid t, `ouve` / `bridge`": _shares(
            ouve, bridge, len(ouve["t"]) // 2
        ),
        "9 concatenated clips, batches of eight / of one": _pair(
            overall(joined), overall(joined["one at a time"])
        ),
    }
    return [f"| {name} | {values} |" for name, values in lines.items()]


def overall(scores: dict) -> float:
    """Mean over a list; a third of its mixtures are two clips of one person."""
    return (2 * scores["different"] + scores["same"]) / 3


def _pair(first: float, second: float) -> str:
    return f"{signed(first)} / {signed(second)} dB"


def _shares(first: dict, second: dict, place: int) -> str:
    return f"{100 * first['video'][place]:.0f} / {100 * second['video'][place]:.0f} %"


def signed(value: float) -> str:
    """With a sign, one digit; no sign for zero."""
    return f"{value:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def entry(results: dict, place: str) -> dict:
    for name in place.split("/"):
        results = results[name]
    return results


def _cells(scores: dict) -> str:
    gains = (signed(scores[name]) for name in ("different", "same"))
    return " | ".join([*gains, f"{100 * scores['selection']:.0f} %"])
