"""The recommended network as code to paste: a scikit-learn pipeline that trains the very same weights."""

from __future__ import annotations

import math
from typing import Any, cast

from thinnet.study._recipe.stages import Winner
from thinnet.study._tables.problem import Problem
from thinnet.study._tables.table import BUILTIN
from thinnet.study._trainings.settings import Plan, options, random_state

__all__ = ["code"]

_CLASSES = """\
import math

from sklearn.pipeline import make_pipeline
from thinnet.sklearn import MLPClassifier
from thinnet.study import TablePreparation, split
from thinnet.schedules import Cosine
from threadpoolctl import threadpool_limits

X_train, X_test, y_train, y_test = {split}  # the study's rows{place}
model = make_pipeline(
    {preparation},
    MLPClassifier({network}),
)
with threadpool_limits(1):  # sums in one order: the study's very weights
    model.fit(X_train, y_train)
print(1 - model.score(X_test, y_test))  # the test error of the first seed
"""

_VALUES = """\
import math

from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from thinnet.sklearn import MLPRegressor
from thinnet.study import TablePreparation, split
from thinnet.schedules import Cosine
from threadpoolctl import threadpool_limits

X_train, X_test, y_train, y_test = {split}  # the study's rows{place}
pipeline = make_pipeline(
    {preparation},
    MLPRegressor({network}),
)
model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
with threadpool_limits(1):  # sums in one order: the study's very weights
    model.fit(X_train, y_train)
print(root_mean_squared_error(y_test, model.predict(X_test)))  # the test RMSE of the first seed
"""


def code(problem: Problem, plan: Plan, winner: Winner, given: dict[str, Any]) -> str:
    """Return Python that splits the table as the study did and trains the recommended network anew.

    Parameters
    ----------
    problem, plan, winner
        What was studied and what won.
    given : dict
        The options of the study, as its results have them.
    """
    state = random_state(given["seed"], given["seeds"])
    told = options(winner.settings, plan, len(problem.rows), winner.outcome.epochs, state)
    network = "".join(f"\n        {argument}," for argument in _arguments(told))
    wanted = ("target", "task", "group", "missing", "seed")
    return (_CLASSES if problem.classification else _VALUES).format(
        split=f"split({', '.join([_written(problem.table), *_arguments(_said(given, wanted))])})",
        place="" if problem.table in BUILTIN else "; run this in the folder of the file",
        preparation=f"TablePreparation({', '.join(_arguments(_said(given, ('categories', 'drop'))))})",
        network=f"{network}\n    ",
    )


def _said(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name)}


def _arguments(told: dict[str, Any]) -> list[str]:
    return [f"{name}={_written(value)}" for name, value in told.items()]


def _written(value: Any) -> str:
    """Return a value as Python source."""
    if value == math.inf:
        return "math.inf"
    if isinstance(value, str) and value.isprintable() and not set(value) & {'"', "\\"}:
        return f'"{value}"'
    return (
        f"[{', '.join(map(_written, cast('list[Any]', value)))}]" if isinstance(value, list) else repr(value)
    )
