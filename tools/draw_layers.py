"""Draw the packages and their imports as docs/images/architecture.svg.

    python -m tools.draw_layers

Layers are those of the first import contract in pyproject.toml; imports are read from the code with grimp. Importing
packages stand above the imported ones.
"""

import tomllib
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from textwrap import wrap

import grimp

ROOT = Path(__file__).parents[1]
SVG = ROOT / "docs" / "images" / "architecture.svg"
PACKAGE = "polyclinic"
ROLES: Mapping[str, str] = {
    "cli": "commands",
    "exchange": "assessments as HTML pages",
    "assess": "bundle + subject + time → assessment",
    "training": "study + cohort → bundle and metrics",
    "verification": "golden outputs of encoders and bundles",
    "explain": "attributions, regions, similar patients, audits",
    "models": "networks, classical models, ensemble, bundle",
    "evaluation": "metrics, intervals, comparisons, reports",
    "study": "configuration: tasks, inputs, model, seed",
    "features": "events → arrays, one folder per modality",
    "tasks": "clinical questions → labels at prediction times",
    "knowledge": "conversions of units",
    "ingest": "source files → events and rejects",
    "demo": "synthetic cohort with known truth",
    "modalities": "the table of modalities",
    "html": "templates and styles of pages",
    "compute": "cores, memory, devices, worker processes",
    "cohort": "events on disk (MEDS), splits, view as of a time",
}
WIDTH, MARGIN, GAP, LINE = 960, 16, 12, 17
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2933}tspan.name{font-weight:700;font-size:15px}.small{fill:#52606d;"
    "font-size:12px}rect{fill:#e6f4f1;stroke:#0f766e;rx:6}.page{fill:#fff;stroke:none}"
)


def main() -> None:
    SVG.write_text(drawing(), encoding="utf-8")
    print(f"→ {SVG.relative_to(ROOT)}")


def drawing() -> str:
    """Return the picture as SVG; the same code gives the same bytes."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    parts: list[str] = []
    top = MARGIN
    for names in layers(graph):
        boxes = [_lines(graph, name, (WIDTH - 2 * MARGIN + GAP) // len(names) - GAP) for name in names]
        height = LINE * max(map(len, boxes)) + 14
        width = (WIDTH - 2 * MARGIN + GAP) / len(names) - GAP
        for place, lines in enumerate(boxes):
            parts += _box(lines, MARGIN + place * (width + GAP), top, width, height)
        top += height + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + MARGIN - GAP}" role="img">'
    title = "<title>Packages of Polyclinic in layers; each imports only from layers below</title>"
    page = '<rect class="page" width="100%" height="100%"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", page, *parts, "</svg>", ""])


def layers(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the packages of each layer of the contract that exist, topmost layer first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    named = [[name.strip(" ()") for name in layer.split("|")] for layer in contracts[0]["layers"]]
    present = {child.removeprefix(f"{PACKAGE}.") for child in graph.find_children(PACKAGE)}
    return [found for layer in named if (found := [name for name in layer if name in present])]


def imports(graph: grimp.ImportGraph, name: str) -> list[str]:
    """Return the other packages that a package imports directly."""
    package = f"{PACKAGE}.{name}"
    modules = {package, *graph.find_descendants(package)}
    imported = {target for module in modules for target in graph.find_modules_directly_imported_by(module)}
    found = {target.split(".")[1] for target in imported - modules if target.startswith(f"{PACKAGE}.")}
    return [other for layer in layers(graph) for other in layer if other in found]


def _lines(graph: grimp.ImportGraph, name: str, width: int) -> list[tuple[str, str]]:
    """Return the lines of a box as (style, text)."""
    children = graph.find_children(f"{PACKAGE}.{name}")
    folders = sorted(child.rpartition(".")[2] for child in children if graph.find_children(child))
    lines = [("name", f"{name}: {ROLES.get(name, '')}")]
    for label, words in (("folders", folders), ("imports", imports(graph, name))):
        if words:
            lines += [("small", text) for text in wrap(f"{label}: {', '.join(words)}", int(width / 6.2))]
    return lines


def _box(lines: list[tuple[str, str]], left: float, top: float, width: float, height: float) -> Iterator[str]:
    yield f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}"/>'
    for number, (style, text) in enumerate(lines, 1):
        first, colon, rest = escape(text).partition(": ") if style == "name" else ("", "", escape(text))
        spans = f'<tspan class="name">{first}</tspan> {rest}' if colon else rest
        yield f'<text class="{style or "small"}" x="{left + 10:.1f}" y="{top + number * LINE + 3}">{spans}</text>'


if __name__ == "__main__":
    main()
