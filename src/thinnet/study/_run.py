"""`thinnet study`, from the table to the report."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import thinnet
from thinnet import net
from thinnet.errors import FileError, InputError
from thinnet.sklearn._parameters import VARIANTS
from thinnet.study._folder import opened, read_json, write_json
from thinnet.study._recipe import stages
from thinnet.study._recipe.scoring import score
from thinnet.study._report.page import write_report
from thinnet.study._report.results import FORMAT, Findings, assemble
from thinnet.study._tables.problem import Columns, Problem, pose
from thinnet.study._tables.table import load_table
from thinnet.study._trainings.engine import Clock, Engine
from thinnet.study._trainings.progress import Progress, choose
from thinnet.study._trainings.settings import PLAIN, STARTS, Plan
from thinnet.study._trainings.store import Store
from thinnet.study._trainings.workers import Workers
from thinnet.variants import find

__all__ = ["MODEL_FORMAT", "Options", "study"]

MODEL_FORMAT = "thinnet.model/1"


@dataclass(frozen=True)
class Options:
    """What `thinnet study` was asked.

    Parameters
    ----------
    source : str
        A file or the name of a built-in table.
    out : Path or None
        The run's folder; runs/NAME if None.
    columns : Columns
        Target, task, groups, categories, what to drop.
    missing : tuple of str
        Texts that stand for missing values.
    seed, trials, seeds, max_width : int
        The study's seed; trials a side; seeds to confirm over; the widest network to grow to.
    time_budget : float or None
        Seconds.
    jobs : int or None
        Worker processes; one a core if None.
    storage : str or None
        An Optuna storage URL; SQLite in the run's folder if None.
    quiet : bool
        Say nothing.
    variants : tuple of str
        Which dropouts are searched: rows of the catalogue that act on activations.
    """

    source: str = "digits"
    out: Path | None = None
    columns: Columns = field(default_factory=Columns)
    missing: tuple[str, ...] = ()
    seed: int = 0
    trials: int = 20
    seeds: int = 5
    max_width: int = 512
    time_budget: float | None = None
    jobs: int | None = None
    storage: str | None = None
    quiet: bool = False
    variants: tuple[str, ...] = (PLAIN,)

    def __post_init__(self) -> None:
        floors = {"trials": 1, "seeds": 2, "max_width": 1, "jobs": 1, "time_budget": 10}
        for name, least in floors.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"study: --{name.replace('_', '-')} must be at least {least}, got {value}.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"study: --seed must be in [0, 2**32), got {self.seed}.")
        self._check_variants()

    def _check_variants(self) -> None:
        if not self.variants or len(set(self.variants)) < len(self.variants):
            named = ",".join(self.variants) or "none"
            raise InputError(f"study: --variants must name each once, and one at least, got {named}.")
        for name in self.variants:
            if find(name).name not in VARIANTS:
                raise InputError(
                    f"study: --variants: {name} does not act on the rows of a table; choose of "
                    f"{', '.join(VARIANTS)}."
                )
        count = len(self.variants)
        if count > 1 and self.trials < STARTS * count:
            raise InputError(
                f"study: --trials must be at least {STARTS * count} for {count} variants, got {self.trials}."
            )

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.out or Path("runs") / Path(self.source).stem

    @property
    def workers(self) -> int:
        """How many processes train."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.jobs or cores or 1

    def to_json(self, fingerprint: str) -> dict[str, Any]:
        """Return what makes this study this one: all that its numbers depend on."""
        columns = self.columns
        return {
            "fingerprint": fingerprint,
            "target": columns.target,
            "task": columns.task,
            "group": columns.group,
            "categories": list(columns.categories),
            "drop": list(columns.drop),
            "seed": self.seed,
            "trials": self.trials,
            "seeds": self.seeds,
            "max_width": self.max_width,
            "variants": list(self.variants),
        }


def study(options: Options) -> dict[str, Any]:
    """Run a study, or go on with one that was interrupted; return what is in `results.json`.

    Raises
    ------
    ThinnetError
        Whatever is wrong with the data, the options or the folder, before anything is written.
    """
    begun = time.time()
    table = load_table(options.source, options.missing)
    problem = pose(table, options.columns, options.seed)
    identity = options.to_json(table.fingerprint)
    del table
    with opened(options.folder, identity) as work:
        finished = options.folder / "results.json"
        if finished.exists():
            return _again(options, finished)
        progress = choose(options.quiet)
        with contextlib.closing(progress):
            for line in _introduce(problem, options):
                progress.say(line)
            results = _run(problem, options, identity, work, progress, begun)
        for path in work.iterdir():
            # What was trained stays in the storage; the rows and weights have done their work.
            if path.suffix in (".npy", ".safetensors"):
                path.unlink()
        return results


def _again(options: Options, finished: Path) -> dict[str, Any]:
    results = read_json(finished)
    if results.get("format") != FORMAT:
        raise FileError(f"{finished}: not the results of a study; remove the file and run the study again.")
    if not (options.folder / "report.html").exists():
        write_report(results, options.folder)
    return results


def _run(
    problem: Problem, options: Options, identity: dict[str, Any], work: Path, progress: Progress, begun: float
) -> dict[str, Any]:
    """Go through the stages and write everything."""
    base = stages.Base(
        rows=problem.write(work),
        plan=Plan.for_rows(len(problem.rows), options.max_width),
        folder=work,
        seed=options.seed,
        trials=options.trials,
        seeds=options.seeds,
        variants=options.variants,
        clock=Clock(None if options.time_budget is None else options.time_budget - (time.time() - begun)),
    )
    # Another version trains otherwise, so what it has trained is left alone.
    digest = _short({**identity, "version": thinnet.__version__})
    name = "-".join(map(str, (identity["fingerprint"], options.seed, options.max_width, digest)))
    marks = [time.time()]
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(Workers(options.workers))
        store = Store(options.storage or work / "trainings.sqlite", f"thinnet-{name}")
        stack.callback(store.give_back)
        engine = Engine(store, workers, progress)
        grown = stages.grow(engine, base)
        progress.say(f"grow: width {grown.width}: {grown.reason}")
        marks.append(time.time())
        trials = stages.search(engine, base, grown.width)
        winners = stages.winners(base, trials, grown.width)
        sites = stages.where(engine, base, winners["dropout"])
        marks.append(time.time())
        weights = stages.confirm(engine, base, winners)
    found = Findings(grown, trials, winners, sites, score(problem, weights))
    marks.append(time.time())
    names = ("grow", "search", "confirm")
    seconds = dict(zip(names, (b - a for a, b in itertools.pairwise(marks)), strict=True))
    shown = {**identity, "time_budget": options.time_budget, "missing": list(options.missing)}
    results = assemble(problem, base.plan, found, shown, {**seconds, "total": time.time() - begun})
    chosen = weights[results["recommended"]["side"]][0]
    net.Network.load(chosen).save(options.folder / "model.safetensors", metadata=_model(problem, results))
    write_report(results, options.folder)
    write_json(options.folder / "results.json", results)
    return results


def _short(identity: dict[str, Any]) -> str:
    import hashlib
    import json

    return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=4).hexdigest()


def _model(problem: Problem, results: dict[str, Any]) -> dict[str, Any]:
    """Return what has to travel with the weights so that `predict` can use them."""
    return {
        "format": MODEL_FORMAT,
        "target": problem.target.name,
        "task": problem.target.task,
        "classes": list(problem.target.classes),
        "center": problem.center,
        "scale": problem.scale,
        "preparation": problem.preparation.to_json(),
        "recommended": results["recommended"],
        "versions": results["versions"],
    }


def _introduce(problem: Problem, options: Options) -> Iterable[str]:
    """Yield what is said before the first training: the data, the task, what is done to each column."""
    rows, columns = problem.shape
    yield f"{problem.table}: {rows:,} rows, {columns:,} columns, target {problem.target.name}"
    yield f"task: {problem.target.task} ({problem.target.why})"
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in problem.preparation.describe():
        grouped.setdefault((row["kind"], row["treatment"]), []).append(row["column"])
    for (kind, treatment), names in grouped.items():
        listed = (
            ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} … {names[-1]} ({len(names)})"
        )
        yield f"  {kind:<9} {listed}: {treatment}"
    width = shutil.get_terminal_size().columns
    yield f"held out {len(problem.test):,} rows; {options.workers} processes; {options.folder}"[
        : max(width, 40)
    ]
