"""Where trainings are kept: an Optuna storage, SQLite in the run's folder unless told otherwise.

Every training of a study has a stage and a slot, and what it does follows from these alone. Whoever
wants a slot trained claims it by adding a running trial; the oldest living claim wins, so that many
machines can share one storage. A finished slot is never trained again.
"""

from __future__ import annotations

import datetime
import os
import socket
import time
import uuid
from dataclasses import asdict
from typing import Any

from thinnet.errors import RunError
from thinnet.study.training import Outcome

__all__ = ["Store"]

# A claim on another machine is dead when nobody has renewed it for so many seconds.
_STALE = 60.0
_RENEW = 10.0


class Store:
    """The finished and the claimed trainings of one study.

    Parameters
    ----------
    url : str
        Any Optuna storage URL.
    name : str
        The study's identity; each stage is an Optuna study `name/stage`.

    Raises
    ------
    RunError
        The storage cannot be opened.
    """

    def __init__(self, url: str, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna: Any = optuna
        try:
            self._storage: Any = optuna.storages.get_storage(url)
        except Exception as error:  # SQLAlchemy, its drivers and Optuna each have their own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(
                f"--storage: {url!r} cannot be opened ({reason}); give an Optuna storage URL."
            ) from error
        self._name = name
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._studies: dict[str, Any] = {}
        self._mine: dict[tuple[str, str], Any] = {}
        self._renewed = time.time()

    def _study(self, stage: str) -> Any:
        if stage not in self._studies:
            self._studies[stage] = self._optuna.create_study(
                storage=self._storage, study_name=f"{self._name}/{stage}", load_if_exists=True
            )
        return self._studies[stage]

    def finished(self, stage: str) -> dict[str, Outcome]:
        """Return the outcomes of a stage by slot."""
        found: dict[str, Outcome] = {}
        for trial in self._study(stage).get_trials(deepcopy=False):
            if trial.state.name in ("COMPLETE", "PRUNED") and "outcome" in trial.user_attrs:
                found.setdefault(trial.user_attrs["slot"], Outcome(**trial.user_attrs["outcome"]))
        return found

    def claim(self, stage: str, slot: str, choice: dict[str, Any], dimensions: dict[str, Any]) -> bool:
        """Try to take a slot; False when a living process elsewhere has it."""
        token, study = uuid.uuid4().hex, self._study(stage)
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
        running = [
            trial
            for trial in study.get_trials(deepcopy=False)
            if trial.state.name == "RUNNING" and trial.user_attrs.get("slot") == slot
        ]
        mine = next(trial for trial in running if trial.user_attrs["token"] == token)
        for trial in running:
            if trial.number < mine.number:
                if self._alive(trial.user_attrs):
                    study.tell(mine.number, state=self._optuna.trial.TrialState.FAIL)
                    return False
                study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)
        self._mine[stage, slot] = mine
        return True

    def _alive(self, claim: dict[str, Any]) -> bool:
        host, _, process = claim["owner"].rpartition(":")
        if host == socket.gethostname():
            if int(process) == os.getpid():
                return False  # of an earlier life under the same number: this process holds each slot once
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
            for trial in self._mine.values():
                self._storage.set_trial_user_attr(trial._trial_id, "beat", self._renewed)

    def tell(self, stage: str, slot: str, outcome: Outcome) -> None:
        """Keep an outcome; one that was cut short only gives the slot back."""
        trial, study = self._mine.pop((stage, slot)), self._study(stage)
        states = self._optuna.trial.TrialState
        if outcome.state == "cut":
            study.tell(trial.number, state=states.FAIL)
            return
        self._storage.set_trial_user_attr(trial._trial_id, "outcome", asdict(outcome))
        if outcome.state == "pruned":
            study.tell(trial.number, state=states.PRUNED)
        else:
            study.tell(trial.number, outcome.value)

    def give_back(self) -> None:
        """Give up every claim of this process."""
        while self._mine:
            (stage, _), trial = self._mine.popitem()
            self._study(stage).tell(
                trial.number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True
            )
