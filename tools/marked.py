"""Parts of pages that tools write: the text between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write(page: str, name: str, text: str) -> None:
    """Put a text between the markers of its name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    path = ROOT / page
    before, rest = path.read_text("utf-8").split(begin)
    path.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}", "utf-8")
