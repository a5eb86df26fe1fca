"""Where trainings are kept: an Optuna storage, SQLite in the run's folder unless told otherwise.

Every training of a study has a stage and a slot, and what it does follows from these alone. Whoever
wants a slot trained claims it by adding a running trial; the oldest living claim wins, so that many
machines can share one storage. A finished slot is never trained again.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thinnet.errors import FileError, RunError, ThinnetError
from thinnet.study._trainings.training import Outcome

__all__ = ["Store"]

_FINISHED = ("COMPLETE", "PRUNED")
# A claim on another machine is dead when nobody has renewed it for so many seconds.
_STALE = 60.0
_RENEW = 10.0
# How long SQLite waits for another process that is writing, in seconds.
_BUSY = 60.0
# Processes that make the tables of a new storage at the same time trip each other up; one gets there.
_OPENINGS = 5


class Store:
    """The finished and the claimed trainings of one study.

    Parameters
    ----------
    where : str or Path
        Any Optuna storage URL, or the path of an SQLite file.
    name : str
        The study's identity; each stage is an Optuna study `name/stage`.

    Raises
    ------
    RunError
        The storage cannot be opened or, in any method, used.
    FileError
        The disk is full.
    """

    def __init__(self, where: str | Path, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna: Any = optuna
        self._where = where
        for opening in range(1, _OPENINGS + 1):
            try:
                self._storage: Any = optuna.storages.get_storage(_opened(where))
                break
            except Exception as error:  # SQLAlchemy, its drivers and Optuna each have their own
                if opening == _OPENINGS or not _may_pass(error):
                    raise self._explained(error, "opened") from error
                time.sleep(0.2 * opening)
        self._name = name
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._studies: dict[str, Any] = {}
        self._mine: dict[tuple[str, str], Any] = {}
        self._renewed = time.time()

    @contextlib.contextmanager
    def _speaking(self) -> Generator[None]:
        """Turn the errors of Optuna and SQLAlchemy into one line."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, self._optuna.exceptions.StorageInternalError) as error:
            raise self._explained(error, "used") from error

    def _explained(self, error: BaseException, verb: str) -> ThinnetError:
        shown = str(self._where) if isinstance(self._where, Path) else f"--storage {_masked(self._where)}"
        cause = _root(error)
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        if "disk is full" in reason:
            return FileError(f"{shown}: the disk is full; free some space and run the same command again.")
        remedy = "give another --out" if isinstance(self._where, Path) else "give an Optuna storage URL"
        return RunError(f"{shown}: cannot be {verb} ({reason}); {remedy}.")

    def _study(self, stage: str) -> Any:
        if stage not in self._studies:
            self._studies[stage] = self._optuna.create_study(
                storage=self._storage, study_name=f"{self._name}/{stage}", load_if_exists=True
            )
        return self._studies[stage]

    def finished(self, stage: str) -> dict[str, Outcome]:
        """Return the outcomes of a stage by slot."""
        found: dict[str, Outcome] = {}
        with self._speaking():
            trials = self._study(stage).get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.name in _FINISHED and "outcome" in trial.user_attrs:
                found.setdefault(trial.user_attrs["slot"], Outcome(**trial.user_attrs["outcome"]))
        return found

    def claim(self, stage: str, slot: str, choice: dict[str, Any], dimensions: dict[str, Any]) -> bool:
        """Try to take a slot; False when it is finished, or when a living process elsewhere has it."""
        with self._speaking():
            study = self._study(stage)
            if self._taken(study, slot):
                return False
            token = uuid.uuid4().hex
            study.add_trial(
                self._optuna.trial.FrozenTrial(
                    number=-1,
                    state=self._optuna.trial.TrialState.RUNNING,
                    value=None,
                    datetime_start=datetime.datetime.now(),
                    datetime_complete=None,
                    params=choice,
                    distributions=dimensions,
                    user_attrs={"slot": slot, "owner": self._owner, "token": token, "beat": time.time()},
                    system_attrs={},
                    intermediate_values={},
                    trial_id=-1,
                )
            )
            mine = next(trial for trial in _of_slot(study, slot) if trial.user_attrs["token"] == token)
            # Another may have come first since.
            if self._taken(study, slot, mine.number):
                self._fail(study, mine.number)
                return False
            self._mine[stage, slot] = mine
            return True

    def _taken(self, study: Any, slot: str, before: float = float("inf")) -> bool:
        """Tell whether a slot is finished or a living claim is older; fail the dead ones."""
        for trial in _of_slot(study, slot):
            if trial.state.name in _FINISHED:
                return True
            if trial.state.name == "RUNNING" and trial.number < before:
                if self._alive(trial.user_attrs):
                    return True
                self._fail(study, trial.number)
        return False

    def _fail(self, study: Any, number: int) -> None:
        study.tell(number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def _alive(self, claim: dict[str, Any]) -> bool:
        host, _, process = claim["owner"].rpartition(":")
        if host == socket.gethostname():
            if int(process) == os.getpid():
                return False  # of an earlier life under the same number: this process holds each slot once
            if os.name == "posix":  # elsewhere signal 0 would end it
                try:
                    os.kill(int(process), 0)
                except ProcessLookupError:
                    return False
                except OSError:
                    pass
        return time.time() - claim["beat"] < _STALE

    def beat(self) -> None:
        """Renew the claims of this process, now and then."""
        if time.time() - self._renewed > _RENEW:
            self._renewed = time.time()
            with self._speaking():
                for trial in self._mine.values():
                    self._note(trial, "beat", self._renewed)

    def tell(self, stage: str, slot: str, outcome: Outcome) -> None:
        """Keep an outcome; one that was cut short only gives the slot back."""
        states = self._optuna.trial.TrialState
        with self._speaking():
            trial, study = self._mine.pop((stage, slot)), self._study(stage)
            if outcome.state == "cut" or not self._note(trial, "outcome", asdict(outcome)):
                self._fail(study, trial.number)
            elif outcome.state == "pruned":
                study.tell(trial.number, state=states.PRUNED, skip_if_finished=True)
            else:
                study.tell(trial.number, outcome.value, skip_if_finished=True)

    def _note(self, trial: Any, name: str, value: Any) -> bool:
        """Write to a claim; False when it is lost, since another took this process for dead."""
        try:
            self._storage.set_trial_user_attr(trial._trial_id, name, value)
        except RuntimeError:  # the trial is finished
            return False
        return True

    def give_back(self) -> None:
        """Give up every claim of this process, if the storage can still be used."""
        with contextlib.suppress(ThinnetError), self._speaking():
            while self._mine:
                (stage, _), trial = self._mine.popitem()
                self._fail(self._study(stage), trial.number)


def _of_slot(study: Any, slot: str) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get("slot") == slot]


def _opened(where: str | Path) -> Any:
    from optuna.storages import RDBStorage

    if isinstance(where, Path):
        # Not in the URL: Optuna and SQLAlchemy take braces, % and ? in a path for their own.
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(where, timeout=_BUSY, check_same_thread=False)

        return RDBStorage(f"sqlite:///{where.name}", engine_kwargs={"creator": connect})
    kwargs: dict[str, Any] = {"connect_args": {"timeout": _BUSY}} if where.startswith("sqlite") else {}
    return RDBStorage(where, engine_kwargs=kwargs)


def _root(error: BaseException) -> BaseException:
    """Return the error that a driver raised first, under all wrappings."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _may_pass(error: BaseException) -> bool:
    reason = str(_root(error)).lower()
    return any(word in reason for word in ("exists", "unique", "locked"))


def _masked(url: str) -> str:
    """Return a URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url
