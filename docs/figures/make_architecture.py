"""The figure of docs/architecture.md: packages by layer and the imports between them.

python docs/figures/make_architecture.py     # writes docs/figures/architecture.svg

Imports are read from the source, layers from tests/test_layers.py. Packages of the two lowest layers
are used nearly everywhere, so the arrows to them are left out; so is each arrow that a longer path
of arrows implies.
"""

from __future__ import annotations

import ast
import itertools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIGURE = ROOT / "docs" / "figures" / "architecture.svg"
FOUNDATION = 2  # layers whose use is not drawn
HIDDEN = {"__main__"}
WIDTH, ROW, BOX, GAP = 1100, 88, 34, 26
FILLS = ("#eceff1", "#e3f2fd", "#e8f5e9", "#fff8e1", "#fbe9e7", "#f3e5f5")
STYLE = "font-family: 'DejaVu Sans', Verdana, sans-serif; font-size: 15px"

Node = tuple[str, int]  # a package at its layer, or the place where a long arrow passes a layer
Graph = dict[str, set[str]]


def layers() -> list[list[str]]:
    """The value of LAYERS in tests/test_layers.py, lowest first, without what is not drawn."""
    tree = ast.parse((ROOT / "tests/test_layers.py").read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LAYERS"
    ]
    kept = [[name for name in layer if name not in HIDDEN] for layer in ast.literal_eval(value)]
    return [layer for layer in kept if layer]


def imports() -> Graph:
    """Which packages a package imports, anywhere in its modules."""
    package = ROOT / "voicediff"
    graph: Graph = {name: set() for layer in layers() for name in layer}
    for path in package.rglob("*.py"):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        if own in graph:
            graph[own] |= (_imported(path) & set(graph)) - {own}
    return graph


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("voicediff.")}


def drawn(graph: Graph) -> set[tuple[str, str]]:
    """The arrows of the figure: between packages above the foundation, without implied ones."""
    below = {name for layer in layers()[:FOUNDATION] for name in layer}
    upper = {name: used - below for name, used in graph.items() if name not in below}
    return {
        (name, used)
        for name, targets in upper.items()
        for used in targets
        if not any(used in _reached(upper, other) for other in targets - {used})
    }


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


# -- places -------------------------------------------------------------------------------------


def routes(arrows: set[tuple[str, str]], level: dict[str, int]) -> list[list[Node]]:
    """Each arrow as nodes from the importing package down, one a layer."""
    return [
        [
            (upper, level[upper]),
            *((f"{upper}>{lower}", at) for at in range(level[upper] - 1, level[lower], -1)),
            (lower, level[lower]),
        ]
        for upper, lower in sorted(arrows)
    ]


def ordered(rows: list[list[Node]], paths: list[list[Node]]) -> list[list[Node]]:
    """Rows in an order with few crossings: barycentres of neighbours, upwards and downwards."""
    beside: dict[Node, set[Node]] = {node: set() for row in rows for node in row}
    for path in paths:
        for upper, lower in itertools.pairwise(path):
            beside[upper].add(lower)
            beside[lower].add(upper)
    best = rows
    for sweep in range(24):
        turn = range(len(rows)) if sweep % 2 else range(len(rows) - 1, -1, -1)
        rows = list(rows)
        for at in turn:
            rows[at] = _sorted(rows, at, beside)
        best = min(best, rows, key=lambda order: _crossings(order, paths))
    return best


def _sorted(rows: list[list[Node]], at: int, beside: dict[Node, set[Node]]) -> list[Node]:
    x = {node: (i + 0.5) / len(row) for row in rows for i, node in enumerate(row)}

    def barycentre(node: Node) -> float:
        near = sorted(x[other] for other in beside[node])
        return sum(near) / len(near) if near else x[node]

    return sorted(rows[at], key=barycentre)


def _crossings(rows: list[list[Node]], paths: list[list[Node]]) -> int:
    x = {node: i for row in rows for i, node in enumerate(row)}
    steps = [(a, b) for path in paths for a, b in itertools.pairwise(path)]
    return sum(
        (x[a] - x[c]) * (x[b] - x[d]) < 0
        for i, (a, b) in enumerate(steps)
        for c, d in steps[:i]
        if a[1] == c[1]
    )


def places(rows: list[list[Node]]) -> dict[Node, float]:
    """The centre of each node: a row is spread over the width, arrows take less than boxes."""
    x: dict[Node, float] = {}
    for row in rows:
        widths = [_width(node) for node in row]
        gap = (WIDTH - sum(widths)) / (len(row) + 1)
        left = gap
        for node, width in zip(row, widths, strict=True):
            x[node] = left + width / 2
            left += width + gap
    return x


def _width(node: Node) -> float:
    return 6 if ">" in node[0] else 10 * len(node[0]) + GAP


# -- drawing ------------------------------------------------------------------------------------


def picture() -> str:
    """The whole figure as SVG."""
    levels = layers()
    level = {name: at for at, layer in enumerate(levels) for name in layer}
    paths = routes(drawn(imports()), level)
    rows: list[list[Node]] = [[(name, at) for name in layer] for at, layer in enumerate(levels)]
    for path in paths:
        for node in path[1:-1]:
            rows[node[1]].append(node)
    x = places(ordered(rows, paths))
    height = ROW * len(levels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" style="{STYLE}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *(_band(at, height) for at in range(len(levels))),
        *(_arrow([(x[node], _y(node, height)) for node in path]) for path in paths),
        *(_box(node, x[node], height) for row in rows for node in row if ">" not in node[0]),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _y(node: Node, height: int) -> float:
    return height - ROW * (node[1] + 0.5)


def _band(at: int, height: int) -> str:
    if at % 2:
        return ""
    return f'<rect y="{height - ROW * (at + 1)}" width="{WIDTH}" height="{ROW}" fill="#fafafa"/>'


def _arrow(points: list[tuple[float, float]]) -> str:
    (x, y), *rest = points
    y += BOX / 2
    text = f"M{x:.0f} {y:.0f}"
    for i, (to_x, to_y) in enumerate(rest):
        to_y -= BOX / 2 + 6 if i == len(rest) - 1 else 0
        middle = (y + to_y) / 2
        text += f" C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"
        x, y = to_x, to_y
    head = f"M{x - 4:.0f} {y - 2:.0f} h8 l-4 8 z"
    return (
        f'<path d="{text}" fill="none" stroke="#78909c" stroke-width="1.4"/>'
        f'<path d="{head}" fill="#546e7a"/>'
    )


def _box(node: Node, x: float, height: int) -> str:
    name, at = node
    width, y = _width(node), _y(node, height)
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - BOX / 2:.0f}" width="{width}" height="{BOX}" rx="5"'
        f' fill="{FILLS[at // 2 % len(FILLS)]}" stroke="#455a64"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{name}</text>'
    )


if __name__ == "__main__":
    FIGURE.write_text(picture(), encoding="utf-8")
    sys.exit(0)
