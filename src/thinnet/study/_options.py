"""The options of a study: every setting, checked when the record is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from thinnet._checks import (
    check,
    check_boolean,
    check_integer,
    check_number,
    check_path,
    check_texts,
    check_type,
)
from thinnet._constraints import Number
from thinnet._core.threads import count_cores
from thinnet.errors import InputError
from thinnet.sklearn._parameters import VARIANTS
from thinnet.study._recipe.space import STARTS
from thinnet.study._spelling import spell_option
from thinnet.study._tables.problem import ColumnRoles
from thinnet.study._trainings.settings import PLAIN
from thinnet.variants import find

__all__ = ["Options", "identify"]

_LEAST = {"trials": 1, "seeds": 2, "max_width": 1}
_LEAST_SECONDS = 10
_TEXTS = ("target", "task", "group", "storage")
_LISTS = ("categories", "drop", "missing", "variants")


@dataclass(frozen=True)
class Options:
    """The options of a study; the command line has a flag for each.

    Parameters
    ----------
    source : str
        A .csv, .tsv, .parquet or .npz file, or a built-in table: digits, breast_cancer, diabetes or wine.
    target : str, optional
        The column to predict; needed for every file but .npz, which has `y`.
    task : {"classification", "regression"}, optional
        The kind of prediction; decided from the target if None.
    group : str, optional
        Rows with the same value in this column stay together in every split.
    categories : sequence of str
        Columns of names that look like numbers.
    drop : sequence of str
        Columns to leave out.
    missing : sequence of str
        Texts that stand for a missing value, besides empty cells, NA, NaN and null.
    out : path, optional
        The run's folder; runs/NAME if None.
    trials : int
        Number of trials for each side, with and without dropout.
    seeds : int
        Number of seeds to confirm over, at least 2.
    max_width : int
        Width of the widest hidden layer.
    variants : sequence of str
        The variants of dropout that the search may choose among.
    seed : int
        The study's seed, in [0, 2**32): the same seed gives the same numbers.
    time_budget : float, optional
        Seconds, at least 10; the study then runs fewer trials and grows no wider than fits.
    jobs : int, optional
        Number of worker processes; one for each core if None.
    storage : str, optional
        URL of an Optuna storage that several machines share; an SQLite file in the run's folder if None.
    quiet : bool
        Print no progress.

    Raises
    ------
    InputError
        An option has a wrong value.

    Examples
    --------
    >>> Options("houses.csv", target="price", trials=8).folder.as_posix()
    'runs/houses'
    >>> Options(trials=0)
    Traceback (most recent call last):
    thinnet.errors.InputError: study: trials must be a whole number of at least 1, got 0.
    """

    source: str = "digits"
    _: KW_ONLY
    target: str | None = None
    task: str | None = None
    group: str | None = None
    categories: Sequence[str] = ()
    drop: Sequence[str] = ()
    missing: Sequence[str] = ()
    out: str | os.PathLike[str] | None = None
    trials: int = 20
    seeds: int = 5
    max_width: int = 512
    variants: Sequence[str] = (PLAIN,)
    seed: int = 0
    time_budget: float | None = None
    jobs: int | None = None
    storage: str | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", str(check_path("study", "source", self.source)))
        for name in _LISTS:
            object.__setattr__(self, name, check_texts("study", spell_option(name), getattr(self, name)))
        for name in _TEXTS:
            if getattr(self, name) is not None:
                check_type("study", spell_option(name), getattr(self, name), str)
        if self.out is not None:
            check_path("study", spell_option("out"), self.out)
        check_boolean("study", spell_option("quiet"), self.quiet)
        for name, least in _LEAST.items():
            check_integer("study", spell_option(name), getattr(self, name), least)
        if self.jobs is not None:
            check_integer("study", spell_option("jobs"), self.jobs, 1)
        if self.time_budget is not None:
            check_number("study", spell_option("time_budget"), self.time_budget, _LEAST_SECONDS)
        check("study", spell_option("seed"), self.seed, Number(0, 2**32, "[)", whole=True))
        self._check_variants()

    def _check_variants(self) -> None:
        owner = f"study: {spell_option('variants')}"
        if not self.variants or len(set(self.variants)) < len(self.variants):
            names = ",".join(self.variants) or "none"
            raise InputError(f"{owner} must be a non-empty list without repetitions, got {names}.")
        for name in self.variants:
            if find(name).name not in VARIANTS:
                choices = ", ".join(VARIANTS)
                raise InputError(
                    f"{owner}: {name} does not act on the rows of a table; choose from {choices}."
                )
        count = len(self.variants)
        if count > 1 and self.trials < STARTS * count:
            raise InputError(
                f"study: {spell_option('trials')} must be at least {STARTS * count} for {count} variants, "
                f"got {self.trials}."
            )

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path("runs") / Path(self.source).stem if self.out is None else Path(self.out)

    @property
    def workers(self) -> int:
        """Number of worker processes."""
        return self.jobs or count_cores()

    @property
    def roles(self) -> ColumnRoles:
        """The roles of the columns."""
        return ColumnRoles(self.target, self.task, self.group, tuple(self.categories), tuple(self.drop))


def identify(options: Options, fingerprint: str) -> dict[str, Any]:
    """Return the table's fingerprint and all options that the numbers depend on, as JSON values."""
    return {
        "fingerprint": fingerprint,
        "target": options.target,
        "task": options.task,
        "group": options.group,
        "categories": list(options.categories),
        "drop": list(options.drop),
        "seed": options.seed,
        "trials": options.trials,
        "seeds": options.seeds,
        "max_width": options.max_width,
        "variants": list(options.variants),
    }
