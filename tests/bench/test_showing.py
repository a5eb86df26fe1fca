"""The table, the bars and the chart say the same numbers, in any terminal."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from thinnet import _info as info
from thinnet._bench import bars, draw, showing, table

NAMES = ("NumPy 2.4.6 copy", "thinnet 0.1.0, 1 thread", "torch 2.13.0+cpu, 2 threads")


def rows_of(size: int = 1_048_576) -> list[dict[str, Any]]:
    numbers = (0.00025, 1.0), (0.0004, 1.6), (0.0123, 49.2)
    return [
        {
            "id": name.split()[0],
            "name": name,
            "ours": name.startswith("thinnet"),
            "size": size,
            "dtype": "float32",
            "rate": 0.5,
            "rounds": 12,
            "median_s": median,
            "min_s": 0.9 * median,
            "ns_per_entry": 1e9 * median / size,
            "gb_per_s": 8e-9 * size / median,
            "ratio_to_copy": ratio,
        }
        for name, (median, ratio) in zip(NAMES, numbers, strict=True)
    ]


def results_of(*sizes: int) -> dict[str, Any]:
    rows = [row for size in sizes for row in rows_of(size)]
    return {"task": "dropout forward", "machine": info.machine(), "notes": [], "rows": rows}


def shown(show: Any, width: int, encoding: str = "utf-8", sizes: tuple[int, ...] = (1_048_576,)) -> list[str]:
    """Return the lines that a terminal of some width gets."""
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    rows = [row for size in sizes for row in rows_of(size)]
    show(Console(file=file, width=width, highlight=False), rows)
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


def test_the_table_has_a_line_a_rival() -> None:
    said = shown(table, 80)
    assert " ".join(said[1].split()) == "1,048,576 entries, 12 rounds median min ns/entry x copy"
    ours = next(line for line in said if "thinnet" in line)
    assert " ".join(ours.split()) == "thinnet 0.1.0, 1 thread 400 µs 360 µs 0.38 1.60"
    theirs = next(line for line in said if "torch" in line)
    assert " ".join(theirs.split()) == "torch 2.13.0+cpu, 2 threads 12.3 ms 11.1 ms 11.7 49.2"


@pytest.mark.parametrize("show", [table, bars])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_terminal_is_too_narrow(show: Any, encoding: str, width: int) -> None:
    said = shown(show, width, encoding)
    assert max(map(len, said)) <= width
    text = " ".join(" ".join(said).split())
    for value in ("1.00", "1.60", "49.2"):
        assert value in text
    assert "…" not in text
    assert "thinnet 0.1.0, 1" in text
    if width >= 60:
        assert all(name in text for name in NAMES)
    if show is table:
        assert ("min" in text) == (width >= 60)
        assert ("ns/entry" in text) == (width >= 80)


def test_bars_are_as_long_as_their_numbers() -> None:
    said = shown(bars, 80)
    lengths = {name: next(line for line in said if line.startswith(name)).count("█") for name in NAMES}
    longest = lengths[NAMES[2]]
    assert longest == 80 - len(NAMES[2]) - len("49.2") - 2
    assert lengths[NAMES[1]] == int(longest * 1.6 / 49.2)
    copy = next(line for line in said if line.startswith(NAMES[0]))
    assert re.search(r"[▏▎▍▌▋▊▉█]", copy)  # a bar that can be seen


def test_sizes_are_groups_of_their_own() -> None:
    said = shown(bars, 80, sizes=(4096, 16_777_216))
    heads = [number for number, line in enumerate(said) if line.endswith(" entries")]
    assert [said[number] for number in heads] == ["4,096 entries", "16,777,216 entries"]
    for head in heads:
        assert [line.startswith(name) for line, name in zip(said[head + 1 :], NAMES, strict=False)] == [
            True
        ] * 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(2e-10, "0.20 ns"), (3.21e-7, "321 ns"), (1e-6, "1.00 µs"), (0.0123, "12.3 ms"), (61.04, "61.0 s")],
)
def test_times_have_units(seconds: float, said: str) -> None:
    assert showing._time_text(seconds) == said
    assert showing._time_text(seconds, ascii_only=True) == said.replace("µ", "u")


# The chart


def test_the_chart_says_everything(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    draw(results_of(4096, 1_048_576), path)
    text = path.read_text("utf-8")
    ElementTree.fromstring(text)
    for word in ("Dropout forward, float32, rate 0.5", "4,096 entries", "1,048,576 entries"):
        assert f"<!-- {word}" in text
    for word in (*NAMES, "250 µs   1.00×", "400 µs   1.60×", "12.3 ms   49.2×"):
        assert text.count(f"<!-- {word} -->") == 2
    assert f"<!-- {info.processor()}" in text


def test_only_ours_is_in_the_accent_colour(tmp_path: Path) -> None:
    draw(results_of(4096), tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text("utf-8")
    # a bar, its value and its name; every other bar is grey
    assert text.count(f"fill: {showing._OURS}") == 3
    assert text.count(f"fill: {showing._OTHERS}") == len(NAMES) - 1


@pytest.mark.parametrize("sizes", [(4096,), (1, 2, 3), tuple(range(1, 13))])
def test_a_png_is_a_png(sizes: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "chart.PNG"
    draw(results_of(*sizes), path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    results = results_of(4096)
    for name in ("a.svg", "b.svg"):
        draw(results, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
