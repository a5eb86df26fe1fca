"""A study from the table to the report."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import thinnet
from thinnet import net
from thinnet.errors import FileError, InputError
from thinnet.study._extra import need_packages
from thinnet.study._folder import (
    MODEL,
    MODEL_FORMAT,
    REPORT,
    RESULTS,
    enter_folder,
    read_json,
    write_json,
)
from thinnet.study._options import Options, identify
from thinnet.study._recipe import stages
from thinnet.study._recipe.findings import StudyFindings
from thinnet.study._recipe.scoring import score
from thinnet.study._recipe.stages import Recipe
from thinnet.study._report.page import write_report
from thinnet.study._report.results import FORMAT, assemble
from thinnet.study._report.wording import describe_problem
from thinnet.study._tables.problem import Problem, make_problem
from thinnet.study._tables.table import load_table
from thinnet.study._trainings.engine import Clock, Engine
from thinnet.study._trainings.progress import Progress, choose_progress
from thinnet.study._trainings.settings import Side, TrainingPlan
from thinnet.study._trainings.store import Store
from thinnet.study._trainings.workers import Workers

__all__ = ["study"]


def study(source: str | Options = "digits", **options: Any) -> dict[str, Any]:
    """Find out whether dropout helps on a table, how much of it, and where; `thinnet study` in Python.

    The function trains in worker processes and writes a report, figures, results.json and a model to the
    run's folder. A study that was interrupted continues; a finished one is read from its folder. A script
    must call it within ``if __name__ == "__main__":``, since every worker imports the script.

    Parameters
    ----------
    source : str or Options
        A file, the name of a built-in table, or all options in one record.
    **options
        The fields of `Options`: ``target="price"``, ``out="runs/houses"``, ``trials=20``, ….

    Returns
    -------
    dict
        The content of results.json: ``"verdict"``, ``"sentence"``, ``"difference"``, ``"recommended"``, ….

    Raises
    ------
    ThinnetError
        The data, an option or the folder cannot be used; nothing has been written then. Or a worker process,
        the disk or the storage failed; the same call then continues the study.

    Examples
    --------
    >>> results = study("houses.csv", target="price")  # doctest: +SKIP
    >>> results["verdict"]  # doctest: +SKIP
    'no evidence either way'
    """
    if isinstance(source, Options) and options:
        raise InputError("study: pass an Options record or single options, not both.")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise InputError(
            'study: a worker imports this script; call study() within if __name__ == "__main__".'
        )
    need_packages("thinnet study")
    return _study(source if isinstance(source, Options) else Options(source, **options))


def _study(options: Options) -> dict[str, Any]:
    started = time.time()
    table = load_table(options.source, tuple(options.missing))
    problem = make_problem(table, options.roles, options.seed)
    identity = identify(options, table.fingerprint)
    del table
    with enter_folder(options.folder, identity) as work:
        if (options.folder / RESULTS).exists():
            return _read_finished(options.folder)
        with contextlib.closing(choose_progress(options.quiet)) as progress:
            for line in describe_problem(problem):
                progress.write(line)
            rows = f"held out {len(problem.test):,} rows"
            progress.write(f"{rows}; {options.workers} processes; {options.folder}")
            results = _run(problem, options, identity, work, progress, started)
        _remove_intermediate_files(work)
        return results


def _read_finished(folder: Path) -> dict[str, Any]:
    """Return the results of a finished run, and write its report again if that was removed."""
    results = read_json(folder / RESULTS)
    if results.get("format") != FORMAT:
        raise FileError(
            f"{folder / RESULTS}: not results of a study; remove the file and run the study again."
        )
    if not (folder / REPORT).exists():
        write_report(results, folder)
    return results


def _remove_intermediate_files(work: Path) -> None:
    """Remove rows and weights; the storage keeps the outcomes of the trainings."""
    for path in work.iterdir():
        if path.suffix in (".npy", ".safetensors"):
            path.unlink()


def _run(
    problem: Problem,
    options: Options,
    identity: dict[str, Any],
    work: Path,
    progress: Progress,
    started: float,
) -> dict[str, Any]:
    """Run the stages and write results, model and report."""
    budget = None if options.time_budget is None else options.time_budget - (time.time() - started)
    recipe = Recipe(
        rows=problem.write(work),
        plan=TrainingPlan.for_rows(len(problem.rows), options.max_width),
        folder=work,
        seed=options.seed,
        trials=options.trials,
        seeds=options.seeds,
        variants=tuple(options.variants),
        clock=Clock(budget),
    )
    findings, weights, seconds = _find(problem, recipe, options, identity, progress)
    recorded = {**identity, "time_budget": options.time_budget, "missing": list(options.missing)}
    durations = {**seconds, "total": time.time() - started}
    results = assemble(problem, recipe.plan, findings, recorded, durations)
    chosen = weights[results["recommended"]["side"]][0]
    net.Network.load(chosen).save(options.folder / MODEL, metadata=_model_description(problem, results))
    write_report(results, options.folder)
    write_json(options.folder / RESULTS, results)
    return results


def _find(
    problem: Problem, recipe: Recipe, options: Options, identity: dict[str, Any], progress: Progress
) -> tuple[StudyFindings, dict[Side, list[Path]], dict[str, float]]:
    """Run the stages; return the findings, the files of the confirmed weights and the stages' durations."""
    times = [time.time()]
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(Workers(options.workers))
        where = options.storage or recipe.folder / "trainings.sqlite"
        store = Store(where, _storage_name(identity))
        stack.callback(store.release_claims)
        engine = Engine(store, workers, progress)
        grown = stages.grow(engine, recipe)
        progress.write(f"grow: width {grown.width}: {grown.reason}")
        times.append(time.time())
        trials = stages.search(engine, recipe, grown.width)
        winners = stages.select_winners(recipe, trials, grown.width)
        compared = stages.ablate(engine, recipe, winners["dropout"])
        times.append(time.time())
        weights = stages.confirm(engine, recipe, winners)
    findings = StudyFindings(grown, trials, winners, compared, score(problem, weights))
    times.append(time.time())
    durations = (end - start for start, end in itertools.pairwise(times))
    return findings, weights, dict(zip(("grow", "search", "confirm"), durations, strict=True))


def _storage_name(identity: dict[str, Any]) -> str:
    """Return the study's name in the storage; another version trains differently, so it has another name."""
    text = json.dumps({**identity, "version": thinnet.__version__}, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return f"thinnet-{identity['fingerprint']}-{identity['seed']}-{identity['max_width']}-{digest}"


def _model_description(problem: Problem, results: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of the model file, from which `predict` prepares new rows."""
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
