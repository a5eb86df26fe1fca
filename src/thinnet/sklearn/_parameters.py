"""The table of parameters: names, constraints, descriptions.

The checks, the refusals, the docstrings of the estimators, the table in docs/sklearn.md and the tests of bad
values are made from it. The defaults are those of the signatures.
"""

from __future__ import annotations

import inspect
import json
import math
import textwrap
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from thinnet._checks import (
    check as check_value,
)
from thinnet._constraints import (
    AnyOf,
    Boolean,
    Choice,
    Constraint,
    Exactly,
    Number,
    RandomState,
    ScheduleOf,
    SequenceOf,
)
from thinnet.errors import InputError
from thinnet.variants import CATALOGUE, Variant, find
from thinnet.variants._pattern import takes

__all__ = [
    "COUNT",
    "TABLE",
    "VARIANTS",
    "Parameter",
    "check",
    "documented",
    "is_active",
    "markdown",
    "rates_of",
    "rows_of",
    "sizes_of",
]

Kind = TypeVar("Kind", bound=type)


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Parameters
    ----------
    name : str
        As in the signature.
    constraint : Constraint
        The accepted values.
    doc : str
        The effect, in a sentence or two.
    only : str
        The solvers that use it; all if empty.
    ours : bool
        Whether scikit-learn's MLP lacks it, or accepts fewer values.
    """

    name: str
    constraint: Constraint
    doc: str
    only: str = ""
    ours: bool = False


COUNT = Number(1, whole=True)
_RATE = Number(0, 1)
_SPEED = Number(0, ends="()")
_DECAY = Number(0, 1, "[)")
_RATE_OR_SCHEDULE = AnyOf(_RATE, ScheduleOf(_RATE))
VARIANTS = tuple(row.name for row in CATALOGUE.values() if row.site == "activation" and takes(row.pattern, 2))
"""The rows of the catalogue that act on activations of shape (rows, units)."""
_STEPS = "sgd, adam, adamw"


@dataclass(frozen=True)
class _ActivationVariant(Constraint):
    """A variant that acts on activations of shape (rows, units), or its name."""

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, str | Variant):
            return False
        row = value if isinstance(value, Variant) else CATALOGUE.get(value)
        return row is not None and row.site == "activation" and takes(row.pattern, 2)

    @property
    def requirement(self) -> str:
        return f"{', '.join(map(json.dumps, VARIANTS))}, a registered name, or a Variant of rows and units"

    @property
    def bad(self) -> tuple[Any, ...]:
        return ("DROPOUT?", "", "Dropout2d", "DropConnect", find("Zoneout"), 0, None, object())


@dataclass(frozen=True)
class _Pattern(Constraint):
    """A pattern for activations of shape (rows, units), or None."""

    def accepts(self, value: Any) -> bool:
        try:
            return value is None or takes(find("Dropout").patterned(value).pattern, 2)
        except InputError:
            return False

    @property
    def requirement(self) -> str:
        return 'a pattern of rows and units such as "n 1", or None'

    @property
    def bad(self) -> tuple[Any, ...]:
        return ("", "n c 1 1", 2, ("n", "1"), object())


TABLE = (
    Parameter(
        "loss",
        Choice(("squared_error", "poisson")),
        "The minimised loss: half the squared error, or half the Poisson deviance of targets of at least 0, "
        "whose predictions are exp of the output.",
    ),
    Parameter(
        "hidden_layer_sizes",
        AnyOf(COUNT, SequenceOf(COUNT, "hidden layer")),
        "Number of units of each hidden layer; an empty list makes a linear model.",
    ),
    Parameter(
        "activation",
        Choice(("identity", "logistic", "tanh", "relu")),
        "The activation of each hidden layer: x, 1 / (1 + exp(-x)), tanh(x) or max(x, 0).",
    ),
    Parameter(
        "solver",
        Choice(("lbfgs", "sgd", "adam", "adamw")),
        "The optimiser: quasi-Newton on all rows at once, or mini-batches with momentum, with adaptive "
        "moments, or with these and decoupled weight decay (`w -= learning rate * alpha * w`).",
        ours=True,
    ),
    Parameter(
        "alpha",
        Number(0),
        "Strength of the L2 penalty `alpha / 2 * ||w||**2 / rows` on weights, without intercepts; with adamw "
        "the weight decay.",
    ),
    Parameter(
        "batch_size",
        AnyOf(Choice(("auto",)), COUNT),
        'Rows of a mini-batch; "auto" is 200, or all rows if there are fewer.',
        _STEPS,
    ),
    Parameter(
        "learning_rate",
        Choice(("constant", "invscaling", "adaptive")),
        'Schedule: "constant"; "invscaling", `learning_rate_init / rows_seen**power_t` after each epoch; '
        '"adaptive", divided by 5 whenever training stalls, until it is below 1e-6.',
        "sgd",
    ),
    Parameter(
        "learning_rate_init",
        AnyOf(_SPEED, ScheduleOf(Number(0))),
        "The learning rate, or a schedule of it.",
        _STEPS,
        ours=True,
    ),
    Parameter("power_t", Number(0), "The exponent of invscaling.", "sgd"),
    Parameter("max_iter", COUNT, "Largest number of epochs; of iterations with lbfgs."),
    Parameter("shuffle", Boolean(), "Whether the rows are shuffled in each epoch.", _STEPS),
    Parameter(
        "random_state",
        RandomState(),
        "The seed of the initial weights, the orders of rows, the validation split and the key of the masks; "
        "with a whole number every fit gives the same weights. Masks do not advance its generator, so "
        "initial weights and orders are the same at every rate.",
    ),
    Parameter(
        "tol",
        Number(0),
        "Training stops when the loss, or the validation score, has improved by less than this for "
        "`n_iter_no_change` consecutive epochs; with lbfgs when no entry of the gradient is larger.",
    ),
    Parameter(
        "verbose", AnyOf(Boolean(), Number(0, whole=True)), "Whether to print the loss after each epoch."
    ),
    Parameter("warm_start", Boolean(), "Whether `fit` continues from the weights of the previous fit."),
    Parameter("momentum", Number(0, 1), "Factor of the momentum buffer in each update.", "sgd"),
    Parameter("nesterovs_momentum", Boolean(), "Whether to use Nesterov's momentum.", "sgd"),
    Parameter(
        "early_stopping",
        Boolean(),
        "Whether to set validation rows aside, to stop when the score on them (accuracy, or R²) stalls, and "
        "to restore the best weights.",
        _STEPS,
    ),
    Parameter("validation_fraction", _DECAY, "The fraction of rows that early_stopping sets aside.", _STEPS),
    Parameter("beta_1", _DECAY, "Decay rate of the first moment.", "adam, adamw"),
    Parameter("beta_2", _DECAY, "Decay rate of the second moment.", "adam, adamw"),
    Parameter("epsilon", _SPEED, "Added to the square root of the second moment.", "adam, adamw"),
    Parameter(
        "n_iter_no_change",
        AnyOf(COUNT, Exactly(math.inf)),
        "See tol; with infinity all `max_iter` epochs are trained.",
        _STEPS,
    ),
    Parameter("max_fun", COUNT, "Largest number of evaluations of the loss.", "lbfgs"),
    Parameter(
        "dropout",
        AnyOf(_RATE, ScheduleOf(_RATE), SequenceOf(_RATE_OR_SCHEDULE, "hidden layer")),
        "Chance that a hidden unit is dropped, drawn for each row of a mini-batch; 0.5 is a usual start.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "input_dropout",
        _RATE_OR_SCHEDULE,
        "Chance that a feature is dropped; rarely more than 0.2.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "variant",
        _ActivationVariant(),
        "The kind of dropout: a row of `thinnet.CATALOGUE` that acts on activations, or its name.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "pattern",
        _Pattern(),
        'The units that share a mask: "n 1" drops all units of a row together; None is the pattern of the '
        "variant, for most one mask for each unit.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "max_norm",
        AnyOf(_SPEED, Exactly()),
        "Largest Euclidean length of the incoming weights of a hidden unit; longer ones are scaled down "
        "after each update.",
        _STEPS,
        ours=True,
    ),
)
"""Every parameter of both estimators, in the order of the signature; `loss` is the regressor's alone."""


ATTRIBUTES = {
    "coefs_ : list of ndarray": "Weights of each layer, shape (d, k); views of those of `network_`.",
    "intercepts_ : list of ndarray": "Intercepts of each layer, shape (k,); views of those of `network_`.",
    "network_ : thinnet.net.Network": "The fitted network, with `save` and `thinned(key=key)`.",
    "loss_ : float": "Loss of the last epoch.",
    "best_loss_ : float or None": "Smallest loss of an epoch; None with early_stopping.",
    "loss_curve_ : list of float": "Loss of each epoch, of thinned networks, with the penalty.",
    "validation_scores_ : list of float or None": "Validation score of each epoch, with early_stopping.",
    "best_validation_score_ : float or None": "Largest validation score, with early_stopping.",
    "n_iter_ : int": "Number of epochs, or iterations, of the last fit.",
    "t_ : int": "Number of rows used in updates, over all epochs.",
    "n_layers_ : int": "Number of layers, including the input layer.",
    "n_outputs_ : int": "Number of outputs.",
    "out_activation_ : str": "The activation of the output layer.",
    "n_features_in_ : int": "Number of features seen in fit.",
    "feature_names_in_ : ndarray of shape (n_features_in_,)": "Names of the features, if all are strings.",
}
"""The attributes of a fitted estimator."""


def rows_of(kind: type) -> list[Parameter]:
    """Return the rows of one of the estimators."""
    names = inspect.signature(kind).parameters
    return [row for row in TABLE if row.name in names]


def check(estimator: Any) -> None:
    """Check the parameters of an estimator against the table, and against each other.

    Raises
    ------
    InputError
        For the first wrong value; the message names the parameter, its constraint and the value.
    """
    owner = type(estimator).__name__
    for row in TABLE:
        if row.name not in vars(estimator):
            continue  # the classifier has no parameter loss
        check_value(owner, row.name, getattr(estimator, row.name), row.constraint)
    _check_dropout(owner, estimator)
    if estimator.early_stopping and estimator.validation_fraction == 0:
        raise InputError(f"{owner}: validation_fraction must be greater than 0 with early_stopping, got 0.")
    scheduled = callable(estimator.learning_rate_init) and estimator.solver == "sgd"
    if scheduled and estimator.learning_rate != "constant":
        raise InputError(
            f'{owner}: learning_rate must be "constant" where learning_rate_init is a schedule, '
            f"got {estimator.learning_rate!r}."
        )


def sizes_of(estimator: Any) -> list[int]:
    """Return the units of each hidden layer."""
    sizes = estimator.hidden_layer_sizes
    return [int(size) for size in (sizes if hasattr(sizes, "__len__") else [sizes])]


def rates_of(estimator: Any) -> list[Any]:
    """Return the dropout rate, or its schedule, of each hidden layer."""
    given = estimator.dropout
    if callable(given) or not hasattr(given, "__len__"):
        return [given] * len(sizes_of(estimator))
    several: Any = given
    return list(several)


def is_active(rate: Any) -> bool:
    """Return whether a rate or a schedule drops anything."""
    return callable(rate) or rate > 0


def _check_dropout(owner: str, estimator: Any) -> None:
    rates, hidden = rates_of(estimator), len(sizes_of(estimator))
    if len(rates) != hidden:
        raise InputError(
            f"{owner}: dropout must have one rate for each hidden layer, got {len(rates)} for {hidden}."
        )
    if not hidden and (
        callable(estimator.dropout) or (np.ndim(estimator.dropout) == 0 and estimator.dropout > 0)
    ):
        raise InputError(
            f"{owner}: dropout needs a hidden layer to act on; set hidden_layer_sizes, or use input_dropout."
        )
    if estimator.solver != "lbfgs":
        return
    if any(map(is_active, [*rates, estimator.input_dropout])):
        raise InputError(
            f'{owner}: solver="lbfgs" minimises one fixed loss, but dropout draws another network '
            'at every step; use solver="adam" or "sgd", or set dropout and input_dropout to 0.'
        )
    if estimator.max_norm is not None:
        raise InputError(
            f'{owner}: solver="lbfgs" does not bound its steps, so it cannot keep max_norm; '
            'use solver="adam" or "sgd", or set max_norm to None.'
        )


def documented(kind: Kind) -> Kind:
    """Insert the tables into the docstring of a class, at `{parameters}` and `{attributes}`."""
    signature = inspect.signature(kind).parameters
    lines: list[str] = []
    for row in rows_of(kind):
        only = f" Only with {row.only}." if row.only else ""
        text = f"{row.doc}{only} Must be {row.constraint.requirement}."
        lines += [f"{row.name} : default {signature[row.name].default!r}", *_folded(text)]
    attributes = [line for name, text in ATTRIBUTES.items() for line in (name, *_folded(text))]
    doc = inspect.getdoc(kind) or ""
    doc = doc.replace("{parameters}", "\n".join(lines)).replace("{attributes}", "\n".join(attributes))
    kind.__doc__ = doc
    return kind


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ")


def markdown(*kinds: type) -> str:
    """Return the table for the documentation; parameters beyond those of scikit-learn are bold."""
    lines = ["| parameter | default | must be | effect |", "|---|---|---|---|"]
    for row in TABLE:
        owners = [kind for kind in kinds if row in rows_of(kind)]
        default = inspect.signature(owners[0]).parameters[row.name].default
        name = f"**`{row.name}`**" if row.ours else f"`{row.name}`"
        name += "" if len(owners) == len(kinds) else f" ({owners[0].__name__})"
        only = f" Only with {row.only}." if row.only else ""
        lines.append(f"| {name} | `{default!r}` | {row.constraint.requirement} | {row.doc}{only} |")
    return "\n".join(lines).replace("||w||", r"\|\|w\|\|") + "\n"
