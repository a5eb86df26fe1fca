"""One finished run of each task, shared by all tests of the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinnet.study import Options, study
from thinnet.study._tables.problem import ColumnRoles, Problem, make_problem
from thinnet.study._tables.table import load_table

from .helpers import SMALL, finish, flowers_csv, numbers_csv, start


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of numbers."""
    return numbers_csv(tmp_path_factory.mktemp("tables") / "houses.csv")


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of classes."""
    return flowers_csv(tmp_path_factory.mktemp("tables") / "flowers.csv")


@pytest.fixture(scope="session")
def finished(houses: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run's folder that one process finished without a break, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "houses"
    code, out, err = finish(start("study", houses, *SMALL, "--jobs", "1", "--out", folder))
    assert (code, err) == (0, "")
    return folder, out


@pytest.fixture(scope="session")
def classified(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run over classes, with groups."""
    options = Options(
        source=str(flowers),
        out=tmp_path_factory.mktemp("runs") / "flowers",
        target="kind",
        group="field",
        trials=2,
        seeds=2,
        max_width=4,
        jobs=2,
        quiet=True,
    )
    study(options)
    return options.folder


@pytest.fixture(scope="session")
def priced(houses: Path) -> Problem:
    """The problem of the finished run."""
    return make_problem(load_table(str(houses)), ColumnRoles("price"), 0)


@pytest.fixture(scope="session")
def kinds(flowers: Path) -> Problem:
    """The problem of the classified run."""
    return make_problem(load_table(str(flowers)), ColumnRoles("kind", group="field"), 0)
