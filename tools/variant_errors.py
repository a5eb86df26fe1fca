"""Write the test errors of the variants, tables and a figure, from benchmarks/results/variants.json.

python tools/variant_errors.py
"""

from __future__ import annotations

import io
import json
from typing import Any

import matplotlib
from marked import ROOT, write
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from thinnet._drawing import STYLE

DATA = {"digits": "digits", "mnist": "MNIST, 10,000 digits"}
NETWORKS = {"dense": "d-512-512-10", "conv": "two convolutions"}
INK, LINE = "#22304a", "#8a94a6"

Results = dict[str, Any]


def groups(results: Results) -> list[tuple[str, Results]]:
    """Return the title and the variants of each data set and network."""
    return [
        (f"{DATA[data]}, {NETWORKS[network]}", results[data][network])
        for data in DATA
        for network in NETWORKS
        if network in results.get(data, {})
    ]


def tables(results: Results) -> str:
    """Return the tables, and the number of their intervals that exclude zero."""
    parts, count, below, above = [], 0, 0, 0
    for title, variants in groups(results):
        rows = [f"| {title} | rate | test error | change, 95 % interval |", "|---|---|---|---|"]
        for name, result in variants.items():
            gap = result["difference"]
            change = f"{100 * gap['mean']:+.2f} ({100 * gap['low']:+.2f} to {100 * gap['high']:+.2f})"
            none = name == "none"
            rows.append(
                f"| {'no dropout' if none else name} | {'' if none else format(result['rate'], 'g')} | "
                f"{100 * result['mean']:.2f} % | {'' if none else change} |"
            )
            count += not none
            below += gap["high"] < 0
            above += gap["low"] > 0
        parts.append("\n".join(rows))
    judged = (
        f"Of {count} intervals {below} lie below zero (fewer errors than without dropout), {above} above it, "
        f"and {count - below - above} include it; by chance alone one in twenty would leave it out."
    )
    return "\n" + "\n\n".join([judged, *parts]) + "\n\n"


def figure(results: Results) -> bytes:
    """Return the changes and their intervals as SVG, one panel for each table."""
    grouped = groups(results)
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "thinnet"}):
        page = Figure(
            figsize=(9, 0.24 * sum(len(group) + 3 for _, group in grouped) / 2 + 1), layout="constrained"
        )
        FigureCanvasSVG(page)
        panels = page.subplots(-(-len(grouped) // 2), 2, squeeze=False).ravel()
        for panel, (title, variants) in zip(panels, grouped, strict=False):
            names = [name for name in variants if name != "none"][::-1]
            for place, name in enumerate(names):
                gap = {part: 100 * value for part, value in variants[name]["difference"].items()}
                panel.plot([gap["low"], gap["high"]], [place, place], color=INK, linewidth=1.5)
                panel.plot(gap["mean"], place, "o", color=INK, markersize=4)
            panel.axvline(0, color=LINE, linewidth=1)
            panel.set_yticks(range(len(names)), names)
            panel.set_title(title, loc="left")
            panel.set_xlabel("change of the test error, points")
        for panel in panels[len(grouped) :]:
            panel.remove()
        kept = io.BytesIO()
        page.savefig(kept, format="svg", metadata={"Date": None, "Creator": None})
    return kept.getvalue()


def main() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "variants.json").read_text("utf-8"))
    write("docs/variants/README.md", "errors", tables(results))
    (ROOT / "docs" / "variants" / "errors.svg").write_bytes(figure(results))


if __name__ == "__main__":
    main()
