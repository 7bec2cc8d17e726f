"""RESULTS.md: tables, data and settings, notes on the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voicediff.report.table import Table, markdown


def results(
    title: str,
    lead: str,
    facts: Mapping[str, str],
    tables: Sequence[Table],
    notes: Mapping[str, str],
    pictures: Mapping[str, str],
    environment: Mapping[str, str],
) -> str:
    """The text of RESULTS.md; `pictures`: relative paths by caption."""
    parts = [f"# {title}", lead, _items(facts)]
    for table in tables:
        parts += [f"## {table.title}", markdown(table)]
    if notes:
        parts += ["## Notes on the metrics and their biases", _items(notes)]
    if pictures:
        parts.append("## Pictures")
        parts += [f"![{caption}]({path})" for caption, path in pictures.items()]
    parts += ["## Environment", _items(environment)]
    return "\n\n".join(parts) + "\n"


def _items(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in facts.items())
