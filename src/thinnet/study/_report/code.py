"""The recommended network as code to paste: a scikit-learn pipeline that trains the same weights."""

from __future__ import annotations

import math
from typing import Any, cast

from thinnet.study._recipe.stages import Winner
from thinnet.study._tables.problem import Problem
from thinnet.study._tables.table import BUILTIN
from thinnet.study._trainings.settings import TrainingPlan, confirmation_seed, estimator_arguments

__all__ = ["make_code"]

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


def make_code(problem: Problem, plan: TrainingPlan, winner: Winner, options: dict[str, Any]) -> str:
    """Return Python code that splits the table as the study did and trains the recommended network again.

    Parameters
    ----------
    problem, plan, winner
        The table, the settings of all trainings, the recommended side's winner.
    options : dict
        The options of the study, as its results have them.
    """
    state = confirmation_seed(options["seed"], options["seeds"])
    epochs = winner.outcome.epochs
    arguments = estimator_arguments(winner.settings, plan, len(problem.rows), epochs, state)
    network = "".join(f"\n        {argument}," for argument in _write_arguments(arguments))
    split, preparation = ("target", "task", "group", "missing", "seed"), ("categories", "drop")
    return (_CLASSES if problem.classification else _VALUES).format(
        split=f"split({', '.join([_write_value(problem.table), *_write_options(options, split)])})",
        place="" if problem.table in BUILTIN else "; run this in the folder of the file",
        preparation=f"TablePreparation({', '.join(_write_options(options, preparation))})",
        network=f"{network}\n    ",
    )


def _write_options(options: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return the options that are set, as keyword arguments."""
    return _write_arguments({name: options[name] for name in names if options.get(name)})


def _write_arguments(arguments: dict[str, Any]) -> list[str]:
    return [f"{name}={_write_value(value)}" for name, value in arguments.items()]


def _write_value(value: Any) -> str:
    """Return a value as Python source."""
    if value == math.inf:
        return "math.inf"
    if isinstance(value, str) and value.isprintable() and not set(value) & {'"', "\\"}:
        return f'"{value}"'
    return (
        f"[{', '.join(map(_write_value, cast('list[Any]', value)))}]"
        if isinstance(value, list)
        else repr(value)
    )
