"""One finished run of each task, shared by all tests of the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinnet.study import Options, study
from thinnet.study import _run as module
from thinnet.study._tables.problem import ColumnRoles, Problem, make_problem
from thinnet.study._tables.table import load_table

from .helpers import SMALL, finish, flowers_csv, numbers_csv, start

# Each finished run is made once: the tests that use it run in one process of pytest-xdist.
_RUNS = {
    "finished": {"finished", "houses_results"},
    "classified": {"classified", "flowers_results"},
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests that share a finished run; some name its fixture in a parameter."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        callspec = getattr(item, "callspec", None)
        values = [] if callspec is None else [v for v in callspec.params.values() if isinstance(v, str)]
        used = {*getattr(item, "fixturenames", ()), *values}
        for run, names in _RUNS.items():
            if used & names:
                item.add_marker(pytest.mark.xdist_group(f"study {run}"))
                break


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_report", lambda *_: None)  # takes seconds; `finished` has one
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
