from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from thinnet._statistics import mean_interval
from thinnet.errors import FileError, InputError
from thinnet.gallery import EXHIBITS, show
from thinnet.gallery import _convnet as convnet
from thinnet.gallery import _layer as layer
from thinnet.gallery import _overfit as overfit
from thinnet.gallery import _xor as xor
from thinnet.gallery._text import table_lines

RUN = xor.run
DOCS = Path(__file__).parents[2] / "docs" / "gallery"


def test_every_exhibit_has_a_page() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == set(EXHIBITS)


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_page_shows_figures_and_pictures(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text("utf-8")
    blocks = re.findall(r"<!-- (figures\S*) -->(.*?)<!-- /\1 -->", text, re.DOTALL)
    assert blocks[0][0] == "figures"
    assert all("```text" in block for _, block in blocks)
    drawn = re.findall(r"!\[.+?\]\((.+?)\)", text)
    assert f"{name}.png" in drawn
    assert all((DOCS / picture).stat().st_size > 10_000 for picture in drawn)


@pytest.mark.parametrize(
    ("name", "lines"), [("layer", layer.ten()), ("convnet", table_lines(convnet.fixed_masks()))]
)
def test_figures_that_take_no_time_are_those_of_the_page(name: str, lines: list[str]) -> None:
    assert "\n".join(lines) in (DOCS / f"{name}.md").read_text("utf-8")


def test_a_film_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = overfit.run
    monkeypatch.setattr(overfit, "run", lambda data: run(data, seeds=2, steps=20))
    lines = show("overfit", tmp_path)
    assert lines[-1] == f"with a slider: {tmp_path / 'overfit.html'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overfit.gif", "overfit.html", "overfit.png"]


def test_a_picture_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xor, "run", lambda data: RUN(seeds=4, steps=300))
    lines = show("xor", tmp_path / "new")
    assert lines[-1] == f"picture: {tmp_path / 'new' / 'xor.png'}"
    assert (tmp_path / "new" / "xor.png").read_bytes().startswith(b"\x89PNG")


def test_an_interval_over_seeds() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert high - mean == pytest.approx(4.302653 / np.sqrt(3))
    assert low == pytest.approx(2 * mean - high)


def test_what_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, show, "xnor", tmp_path)
    assert line.startswith("gallery: there is no experiment 'xnor'; choose one of xor, scaling")
    assert "takes no data files" in refusal(InputError, show, "xor", tmp_path, data=[tmp_path / "a.csv"])
    (tmp_path / "file").write_text("")
    monkey = tmp_path / "file" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xor, "run", lambda data: RUN(seeds=2, steps=5))
        assert "the folder cannot be made" in refusal(FileError, show, "xor", monkey)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "thinnet", "gallery", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_lists_and_refuses() -> None:
    done = command()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(EXHIBITS)
    done = command("scaling", "--data", "a.csv", "b.csv")  # one option, several files
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip() == "a.csv: cannot be read: no such file or folder."
    done = command("q")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gallery: there is no experiment 'q'")
