"""The one table of parameters: names, legal values, what they mean.

The checks, the text of a refusal, the section of the docstrings, the table of the documentation and the tests
of bad values are all made from it. Defaults are those of the signatures.
"""

from __future__ import annotations

import inspect
import math
import textwrap
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from thinnet._checks import (
    AnyOf,
    Boolean,
    Choice,
    Constraint,
    Exactly,
    Number,
    RandomState,
    ScheduleOf,
    SequenceOf,
    format_value,
)
from thinnet.errors import InputError
from thinnet.variants import CATALOGUE
from thinnet.variants._pattern import takes

__all__ = [
    "COUNT",
    "TABLE",
    "Parameter",
    "check",
    "documented",
    "drops",
    "markdown",
    "rates_of",
    "rows_of",
    "sizes_of",
]

Kind = TypeVar("Kind", bound=type)


@dataclass(frozen=True)
class Parameter:
    """One row: what it is called, what it may be, what it does.

    Parameters
    ----------
    name : str
        As in the signature.
    constraint : Constraint
        What it may be.
    doc : str
        What it does, in a sentence or two.
    only : str
        The one solver, or the two, that look at it; all if empty.
    ours : bool
        Whether scikit-learn's MLP lacks it, or takes less.
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
_STEPS = "sgd, adam, adamw"

TABLE = (
    Parameter(
        "loss",
        Choice(("squared_error", "poisson")),
        "What is minimised: half the squared error, or half the Poisson deviance of targets that are not "
        "negative, whose predictions are exp of the output.",
    ),
    Parameter(
        "hidden_layer_sizes",
        AnyOf(COUNT, SequenceOf(COUNT, "hidden layer")),
        "Units of each hidden layer; none makes a linear model.",
    ),
    Parameter(
        "activation",
        Choice(("identity", "logistic", "tanh", "relu")),
        "What follows each hidden layer: x, 1 / (1 + exp(-x)), tanh(x) or max(x, 0).",
    ),
    Parameter(
        "solver",
        Choice(("lbfgs", "sgd", "adam", "adamw")),
        "How weights are found: quasi-Newton on all rows at once, or mini-batches with momentum, with "
        "adaptive moments, or with these and decoupled weight decay (`w -= learning rate * alpha * w`).",
        ours=True,
    ),
    Parameter(
        "alpha",
        Number(0),
        "Strength of the L2 penalty `alpha / 2 * ||w||**2 / rows` on weights, not on intercepts; with adamw "
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
        "What becomes of the learning rate: nothing; `learning_rate_init / rows_seen**power_t` after each "
        "epoch; a fifth of it whenever training would otherwise stop, which it then does below 1e-6.",
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
    Parameter("max_iter", COUNT, "Epochs at most; iterations at most with lbfgs."),
    Parameter("shuffle", Boolean(), "Whether each epoch takes the rows in a new order.", _STEPS),
    Parameter(
        "random_state",
        RandomState(),
        "Where first weights, orders of rows, the validation split and the key of the masks come from; with "
        "a whole number every fit comes out the same. Masks draw nothing from it, so first weights and "
        "orders are the same at every rate.",
    ),
    Parameter(
        "tol",
        Number(0),
        "Training stops when the loss, or the validation score, has not improved by as much for "
        "`n_iter_no_change` epochs in a row; with lbfgs when no entry of the gradient is larger.",
    ),
    Parameter(
        "verbose", AnyOf(Boolean(), Number(0, whole=True)), "Whether to print the loss after each epoch."
    ),
    Parameter("warm_start", Boolean(), "Whether `fit` goes on from the weights of the `fit` before."),
    Parameter("momentum", Number(0, 1), "How much of the update before is kept.", "sgd"),
    Parameter("nesterovs_momentum", Boolean(), "Whether momentum looks ahead.", "sgd"),
    Parameter(
        "early_stopping",
        Boolean(),
        "Whether to set rows aside, to stop when the score on them (accuracy, or R²) gets no better, and to "
        "keep the weights that were best.",
        _STEPS,
    ),
    Parameter("validation_fraction", _DECAY, "The share of rows set aside by early_stopping.", _STEPS),
    Parameter("beta_1", _DECAY, "Decay of the first moment.", "adam, adamw"),
    Parameter("beta_2", _DECAY, "Decay of the second moment.", "adam, adamw"),
    Parameter("epsilon", _SPEED, "What is added to the root of the second moment.", "adam, adamw"),
    Parameter(
        "n_iter_no_change",
        AnyOf(COUNT, Exactly(math.inf)),
        "See tol; with infinity all `max_iter` epochs are gone through.",
        _STEPS,
    ),
    Parameter("max_fun", COUNT, "Calls of the loss at most.", "lbfgs"),
    Parameter(
        "dropout",
        AnyOf(_RATE, ScheduleOf(_RATE), SequenceOf(_RATE_OR_SCHEDULE, "hidden layer")),
        "The chance that a hidden unit is dropped, for a row of a mini-batch; 0.5 is where to begin.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "input_dropout",
        _RATE_OR_SCHEDULE,
        "The chance that a feature is dropped; seldom more than 0.2.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "variant",
        Choice(VARIANTS),
        "Which dropout: a row of `thinnet.CATALOGUE` that acts on activations.",
        _STEPS,
        ours=True,
    ),
    Parameter(
        "max_norm",
        AnyOf(_SPEED, Exactly()),
        "The greatest length of the weights that come into a hidden unit; longer ones are scaled down after "
        "each update.",
        _STEPS,
        ours=True,
    ),
)
"""Every parameter of both estimators, in the order of the signature; `loss` is the regressor's alone."""


ATTRIBUTES = {
    "coefs_ : list of ndarray": "Weights of each layer, shape (d, k); views of those of `network_`.",
    "intercepts_ : list of ndarray": "Intercepts of each layer, shape (k,); views of those of `network_`.",
    "network_ : thinnet.net.Network": "What was trained, with `save` and `thinned(key)`.",
    "loss_ : float": "Loss of the last epoch.",
    "best_loss_ : float or None": "The least loss of an epoch; None with early_stopping.",
    "loss_curve_ : list of float": "Loss of each epoch, of thinned networks, with the penalty.",
    "validation_scores_ : list of float or None": "With early_stopping, the score on the rows set aside.",
    "best_validation_score_ : float or None": "The best of these.",
    "n_iter_ : int": "Epochs, or iterations, of the last fit.",
    "t_ : int": "Rows seen.",
    "n_layers_ : int": "Layers, the inputs counted as one.",
    "n_outputs_ : int": "Outputs.",
    "out_activation_ : str": "What follows the last layer.",
    "n_features_in_ : int": "Features seen by fit.",
    "feature_names_in_ : ndarray of shape (n_features_in_,)": "Their names, if all are strings.",
}
"""What a fitted estimator has, and what it is."""


def rows_of(kind: type) -> list[Parameter]:
    """Return the rows of one of the estimators."""
    names = inspect.signature(kind).parameters
    return [row for row in TABLE if row.name in names]


def check(estimator: Any) -> None:
    """Hold an estimator's parameters against the table, and against each other.

    Raises
    ------
    InputError
        The first that does not fit; the message names it, its value and what is legal.
    """
    owner = type(estimator).__name__
    for row in TABLE:
        if row.name not in vars(estimator):
            continue  # the classifier has but one loss
        value = getattr(estimator, row.name)
        if not row.constraint.accepts(value):
            raise InputError(
                f"{owner}: {row.name} must be {row.constraint.requirement}, got {format_value(value)}."
            )
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


def drops(rate: Any) -> bool:
    """Say whether a rate or a schedule drops anything."""
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
    if any(map(drops, [*rates, estimator.input_dropout])):
        raise InputError(
            f'{owner}: solver="lbfgs" searches along lines of one fixed loss, but dropout draws another '
            'network at every step; use solver="adam" or "sgd", or set dropout and input_dropout to 0.'
        )
    if estimator.max_norm is not None:
        raise InputError(
            f'{owner}: solver="lbfgs" takes its steps without bounds, so max_norm cannot be kept; '
            'use solver="adam" or "sgd", or set max_norm to None.'
        )


def documented(kind: Kind) -> Kind:
    """Put the tables into a class's docstring, where it says `{parameters}` and `{attributes}`."""
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
    """Return the table for the documentation; what scikit-learn lacks, or takes less of, is bold."""
    lines = ["| parameter | default | must be | what it does |", "|---|---|---|---|"]
    for row in TABLE:
        owners = [kind for kind in kinds if row in rows_of(kind)]
        default = inspect.signature(owners[0]).parameters[row.name].default
        name = f"**`{row.name}`**" if row.ours else f"`{row.name}`"
        name += "" if len(owners) == len(kinds) else f" ({owners[0].__name__})"
        only = f" Only with {row.only}." if row.only else ""
        lines.append(f"| {name} | `{default!r}` | {row.constraint.requirement} | {row.doc}{only} |")
    return "\n".join(lines).replace("||w||", r"\|\|w\|\|") + "\n"
