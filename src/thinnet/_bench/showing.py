"""Show rows: a table and bars on the terminal, a chart in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thinnet._bench.measuring import Row
from thinnet._drawing import COLOURS, STYLE
from thinnet._files import replacing

__all__ = ["bars", "draw", "machine_line", "table"]

_OURS, _OTHERS, _INK, _MUTED = COLOURS["dropout"], "#b4bac2", COLOURS["ink"], COLOURS["muted"]
_ACCENT = "bold cyan"  # the colour of thinnet on a terminal
# A chart of bars has its labels beside the bars, so it needs no grid and no lower axis.
_STYLE = STYLE | {
    "axes.grid": False,
    "axes.linewidth": 0.8,
    "axes.spines.bottom": False,
    "axes.spines.left": True,
    "axes.titlecolor": _INK,
    "font.size": 9.5,
    "svg.fonttype": "path",
    "ytick.color": _INK,
    "ytick.labelsize": "medium",
}


def table(console: Any, rows: Sequence[Row]) -> None:
    """Print the rows of one size as a table; a narrow terminal gets fewer columns."""
    from rich import box
    from rich.table import Table

    ascii_only = console.options.ascii_only
    columns = [("median", [_time_text(row["median_s"], ascii_only) for row in rows])]
    if console.width >= 50:
        columns.append(("min", [_time_text(row["min_s"], ascii_only) for row in rows]))
    if console.width >= 72:
        columns.append(("ns/entry", [_number_text(row["ns_per_entry"]) for row in rows]))
    columns.append(("x copy", [_number_text(row["ratio_to_copy"]) for row in rows]))
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    made.add_column(f"{rows[0]['size']:,} entries, {rows[0]['rounds']} rounds")
    for head, _ in columns:
        made.add_column(head, justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        cells = (values[number] for _, values in columns)
        made.add_row(row["name"], *cells, style=_ACCENT if row["ours"] else None)
    console.print(made)


def bars(console: Any, rows: Sequence[Row]) -> None:
    """Print all rows as bars, one group for each size; the length is the time divided by that of a copy."""
    from rich.table import Table

    console.print("\nTime, in copies of the array: shorter is better", style="bold")
    for group in _by_size(rows):
        values = [_number_text(row["ratio_to_copy"]) for row in group]
        label = min(max(len(row["name"]) for row in group), console.width // 2)
        room = max(4, console.width - label - max(map(len, values)) - 2)
        made = Table.grid(padding=(0, 1, 0, 0))
        made.add_column(width=label)
        made.add_column(width=room, no_wrap=True)
        made.add_column(justify="right", no_wrap=True)
        longest = max(row["ratio_to_copy"] for row in group)
        for row, value in zip(group, values, strict=True):
            bar = _bar(room * row["ratio_to_copy"] / longest, console.options.ascii_only)
            made.add_row(row["name"], bar, value, style=_ACCENT if row["ours"] else None)
        console.print(f"\n{group[0]['size']:,} entries")
        console.print(made)


def _bar(length: float, ascii_only: bool) -> str:
    if ascii_only:
        return "#" * max(1, round(length))
    whole, eighths = divmod(max(1, round(8 * length)), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def _by_size(rows: Sequence[Row]) -> list[list[Row]]:
    return [[row for row in rows if row["size"] == size] for size in dict.fromkeys(r["size"] for r in rows)]


def _number_text(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _time_text(seconds: float, ascii_only: bool = False) -> str:
    micro = "us" if ascii_only else "µs"
    units = ("s", 1), ("ms", 1e3), (micro, 1e6), ("ns", 1e9)
    unit, factor = next((pair for pair in units if seconds * pair[1] >= 1), units[-1])
    return f"{_number_text(seconds * factor)} {unit}"


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the results as a bar chart, SVG or PNG by the name of the file, atomically."""
    from matplotlib import style
    from matplotlib.figure import Figure

    groups = _by_size(results["rows"])
    heights = [len(group) + 1.6 for group in groups]  # in units of bars, with space for a title
    kind = path.suffix[1:].lower()
    first = results["rows"][0]
    left: dict[str, Any] = {"x": 0.012, "ha": "left"}
    with style.context(["default", _STYLE]):
        figure: Any = Figure(figsize=(7.6, 0.27 * sum(heights) + 0.9), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.08)
        places = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, group in zip(places, groups, strict=True):
            _panel(axes, group)
        title = f"Dropout forward, {first['dtype']}, rate {first['rate']:g}: time, and × a copy of the array"
        figure.suptitle(title, fontsize=12, fontweight="bold", **left)
        figure.supxlabel(machine_line(results["machine"]), fontsize=7.5, color=_MUTED, **left)
        with replacing(path) as temporary:
            about = {"Date": None} if kind == "svg" else None  # equal results give equal files
            figure.savefig(temporary, format=kind, dpi=160, metadata=about)


def _panel(axes: Any, rows: Sequence[Row]) -> None:
    times = [row["median_s"] for row in rows]
    drawn = axes.barh(range(len(rows)), times, height=0.74)
    words = [f"{_time_text(row['median_s'])}   {_number_text(row['ratio_to_copy'])}×" for row in rows]
    values = axes.bar_label(drawn, words, padding=5)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    for bar, value, label, row in zip(drawn, values, axes.get_yticklabels(), rows, strict=True):
        bar.set_color(_OURS if row["ours"] else _OTHERS)
        for text in (value, label):
            text.set(color=_OURS if row["ours"] else _INK, fontweight="bold" if row["ours"] else "normal")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(times))  # space for the text after the longest bar
    axes.set_xticks([])
    axes.set_title(f"{rows[0]['size']:,} entries")


def machine_line(machine: dict[str, Any]) -> str:
    """Return the machine, as `thinnet._info.machine` describes it, in one line."""
    return (
        f"{machine['processor']}, {machine['system']}, {machine['instruction_set']}; "
        f"thinnet {machine['thinnet']}, NumPy {machine['numpy']}, Python {machine['python']}"
    )
