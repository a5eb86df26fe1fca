"""The storage of trainings: an Optuna storage, by default an SQLite file in the run's folder.

Every training of a study has a stage and a slot, which determine the training completely. A process claims a
slot by adding a running trial. The oldest claim of a living process wins, so many machines can share one
storage. A finished slot is never trained again.
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
from thinnet.study._spelling import spell_option
from thinnet.study._trainings.job import TrainingOutcome

__all__ = ["Store"]

_FINISHED = ("COMPLETE", "PRUNED")
# A claim of another machine is dead if it was not renewed for so many seconds.
_STALE = 60.0
_RENEW = 10.0
# Seconds that SQLite waits for another process that is writing.
_BUSY = 60.0
# Processes that create the tables of a new storage at the same time can fail; a later attempt succeeds.
_ATTEMPTS = 5


class Store:
    """The finished and the claimed trainings of one study.

    Parameters
    ----------
    where : str or Path
        An Optuna storage URL, or the path of an SQLite file.
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
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._storage: Any = optuna.storages.get_storage(_make_storage(where))
                break
            except Exception as error:  # SQLAlchemy, its drivers and Optuna each have their own errors
                if attempt == _ATTEMPTS or not _is_transient(error):
                    raise self._explain_error(error, "opened") from error
                time.sleep(0.2 * attempt)
        self._name = name
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._studies: dict[str, Any] = {}
        self._mine: dict[tuple[str, str], Any] = {}
        self._renewed = time.time()

    @contextlib.contextmanager
    def _one_line_errors(self) -> Generator[None]:
        """Turn the errors of Optuna and SQLAlchemy into errors of one line."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, self._optuna.exceptions.StorageInternalError) as error:
            raise self._explain_error(error, "used") from error

    def _explain_error(self, error: BaseException, verb: str) -> ThinnetError:
        at_path = isinstance(self._where, Path)
        owner = str(self._where) if at_path else spell_option("storage", _hide_password(str(self._where)))
        cause = _root_cause(error)
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        if "disk is full" in reason:
            return FileError(f"{owner}: the disk is full; free some space and run the same study again.")
        remedy = f"give another {spell_option('out')}" if at_path else "give an Optuna storage URL"
        return RunError(f"{owner}: cannot be {verb} ({reason}); {remedy}.")

    def _study(self, stage: str) -> Any:
        if stage not in self._studies:
            self._studies[stage] = self._optuna.create_study(
                storage=self._storage, study_name=f"{self._name}/{stage}", load_if_exists=True
            )
        return self._studies[stage]

    def finished(self, stage: str) -> dict[str, TrainingOutcome]:
        """Return the outcomes of a stage by slot."""
        found: dict[str, TrainingOutcome] = {}
        with self._one_line_errors():
            trials = self._study(stage).get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.name in _FINISHED and "outcome" in trial.user_attrs:
                found.setdefault(trial.user_attrs["slot"], TrainingOutcome(**trial.user_attrs["outcome"]))
        return found

    def claim(self, stage: str, slot: str, choice: dict[str, Any], dimensions: dict[str, Any]) -> bool:
        """Try to claim a slot; return False if it is finished or claimed by another living process."""
        with self._one_line_errors():
            study = self._study(stage)
            if self._is_taken(study, slot):
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
            mine = next(trial for trial in _trials_of_slot(study, slot) if trial.user_attrs["token"] == token)
            # Another process may have claimed the slot in the meantime.
            if self._is_taken(study, slot, mine.number):
                self._fail(study, mine.number)
                return False
            self._mine[stage, slot] = mine
            return True

    def _is_taken(self, study: Any, slot: str, before: float = float("inf")) -> bool:
        """Return whether a slot is finished or has an older claim of a living process; fail dead claims."""
        for trial in _trials_of_slot(study, slot):
            if trial.state.name in _FINISHED:
                return True
            if trial.state.name == "RUNNING" and trial.number < before:
                if self._is_alive(trial.user_attrs):
                    return True
                self._fail(study, trial.number)
        return False

    def _fail(self, study: Any, number: int) -> None:
        study.tell(number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def _is_alive(self, claim: dict[str, Any]) -> bool:
        host, _, process = claim["owner"].rpartition(":")
        if host == socket.gethostname():
            if int(process) == os.getpid():
                return False  # an earlier process had the same number; this one claims each slot once
            if os.name == "posix":  # on Windows, signal 0 would end the process
                try:
                    os.kill(int(process), 0)
                except ProcessLookupError:
                    return False
                except OSError:
                    pass
        return time.time() - claim["beat"] < _STALE

    def renew_claims(self) -> None:
        """Renew the claims of this process, if ten seconds have passed since the last time."""
        if time.time() - self._renewed > _RENEW:
            self._renewed = time.time()
            with self._one_line_errors():
                for trial in self._mine.values():
                    self._set_attribute(trial, "beat", self._renewed)

    def record(self, stage: str, slot: str, outcome: TrainingOutcome) -> None:
        """Store an outcome; an outcome that was cut at its deadline only releases the slot."""
        states = self._optuna.trial.TrialState
        with self._one_line_errors():
            trial, study = self._mine.pop((stage, slot)), self._study(stage)
            if outcome.state == "cut" or not self._set_attribute(trial, "outcome", asdict(outcome)):
                self._fail(study, trial.number)
            elif outcome.state == "pruned":
                study.tell(trial.number, state=states.PRUNED, skip_if_finished=True)
            else:
                study.tell(trial.number, outcome.value, skip_if_finished=True)

    def _set_attribute(self, trial: Any, name: str, value: Any) -> bool:
        """Write to a claim; return False if it is lost because another machine considered it dead."""
        try:
            self._storage.set_trial_user_attr(trial._trial_id, name, value)
        except RuntimeError:  # the trial is finished
            return False
        return True

    def release_claims(self) -> None:
        """Release every claim of this process, if the storage can still be used."""
        with contextlib.suppress(ThinnetError), self._one_line_errors():
            while self._mine:
                (stage, _), trial = self._mine.popitem()
                self._fail(self._study(stage), trial.number)


def _trials_of_slot(study: Any, slot: str) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get("slot") == slot]


def _make_storage(where: str | Path) -> Any:
    from optuna.storages import RDBStorage

    if isinstance(where, Path):
        # The path is not in the URL, where Optuna and SQLAlchemy interpret braces, % and ?.
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(where, timeout=_BUSY, check_same_thread=False)

        return RDBStorage(f"sqlite:///{where.name}", engine_kwargs={"creator": connect})
    kwargs: dict[str, Any] = {"connect_args": {"timeout": _BUSY}} if where.startswith("sqlite") else {}
    return RDBStorage(where, engine_kwargs=kwargs)


def _root_cause(error: BaseException) -> BaseException:
    """Return the first error of a chain, which a driver raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_transient(error: BaseException) -> bool:
    reason = str(_root_cause(error)).lower()
    return any(word in reason for word in ("exists", "unique", "locked"))


def _hide_password(url: str) -> str:
    """Return a URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url
