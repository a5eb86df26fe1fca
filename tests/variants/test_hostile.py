"""Public functions of variants refuse nonsense in one line: no argument leads to an error of another kind."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet import schedules, variants
from thinnet.errors import InputError

X, KEY = np.random.default_rng(0).standard_normal((2, 3, 8, 8)), tn.Key(0)
TOKENS, ROWS, MATRIX = X[:, :, :4, 0], X[0, 0], X[0, 1]

# A valid call of each public function, all arguments by name.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "concrete_dropout": (tn.concrete_dropout, {"x": ROWS, "logit": 0.0, "key": KEY, "temperature": 0.5}),
    "concrete_kl": (tn.concrete_kl, {"logit": 0.0, "weights": MATRIX, "length": 1.0}),
    "cutout": (tn.cutout, {"x": X, "size": (2, 3), "key": KEY}),
    "dare_merge": (
        tn.dare_merge,
        {"base": ROWS, "tuned": [MATRIX], "rate": 0.5, "key": KEY, "weights": [1.0]},
    ),
    "drop": (
        tn.drop,
        {"variant": "Zoneout", "x": ROWS, "rate": 0.5, "key": KEY, "other": MATRIX, "pattern": "a b"},
    ),
    "drop with blocks": (tn.drop, {"variant": "DropBlock2d", "x": X, "rate": 0.1, "key": KEY, "block": 3}),
    "drop_edges": (
        tn.drop_edges,
        {"edges": [[0, 1], [1, 0]], "rate": 0.5, "key": KEY, "undirected": True},
    ),
    "drop_head": (tn.drop_head, {"x": X, "rate": 0.5, "key": KEY}),
    "dropout": (tn.dropout, {"x": ROWS, "rate": 0.5, "key": KEY, "out": np.empty_like(ROWS)}),
    "local_noise": (tn.local_noise, {"x": ROWS, "weights": MATRIX, "log_alpha": 0.0, "key": KEY}),
    "mask": (tn.mask, {"shape": (3, 4), "rate": 0.5, "key": KEY, "window": tn.Window.whole((3, 4))}),
    "max_pool_dropout": (
        tn.max_pool_dropout,
        {"x": np.abs(X), "rate": 0.5, "key": KEY, "kernel_size": 2, "stride": 1},
    ),
    "multi_sample_dropout": (tn.multi_sample_dropout, {"x": ROWS, "rate": 0.5, "key": KEY, "samples": 2}),
    "neftune_noise": (tn.neftune_noise, {"x": TOKENS, "alpha": 5.0, "key": KEY}),
    "patch_dropout": (tn.patch_dropout, {"x": TOKENS, "rate": 0.5, "key": KEY, "prefix": 1}),
    "r_drop": (tn.r_drop, {"first": ROWS, "second": MATRIX}),
    "register": (tn.register, {"row": variants.find("Dropout").patterned("n"), "replace": True}),
    "shake_drop": (tn.shake_drop, {"x": X, "rate": 0.5, "key": KEY, "backward": True}),
    "shakeout": (tn.shakeout, {"weights": ROWS, "rate": 0.5, "key": KEY, "c": 0.1, "axis": 0}),
    "sparse_kl": (tn.sparse_kl, {"log_alpha": ROWS}),
    "sparse_prune": (tn.sparse_prune, {"weights": ROWS, "log_alpha": MATRIX, "threshold": 3.0}),
    "standout": (
        tn.standout,
        {"x": ROWS, "logits": MATRIX, "key": KEY, "alpha": 1.0, "beta": 0.0},
    ),
    "targeted_dropout": (
        tn.targeted_dropout,
        {"weights": ROWS, "rate": 0.5, "key": KEY, "target": 0.5, "units": True, "axis": 0},
    ),
    "variational_dropout": (tn.variational_dropout, {"x": ROWS, "log_alpha": 0.0, "key": KEY}),
    "variational_kl": (tn.variational_kl, {"log_alpha": ROWS}),
    "Linear": (schedules.Linear, {"start": 0.0, "stop": 0.5, "steps": 10}),
    "Cosine": (schedules.Cosine, {"start": 0.0, "stop": 0.5, "steps": 10}),
    "FlatCosine": (schedules.FlatCosine, {"start": 0.0, "stop": 0.5, "steps": 10, "flat": 0.5}),
    "Curriculum": (schedules.Curriculum, {"rate": 0.5, "gamma": 1e-3}),
    "Early": (schedules.Early, {"rate": 0.5, "steps": 10}),
    "Late": (schedules.Late, {"rate": 0.5, "steps": 10}),
    "Constant": (schedules.Constant, {"value": 0.5}),
    "scheduled_drop_path": (schedules.scheduled_drop_path, {"rate": 0.5, "cells": 3, "steps": 10}),
}
NONSENSE: tuple[Any, ...] = (
    object(),
    "a",
    b"a",
    None,
    True,
    -1,
    2.5,
    10**400,
    float("nan"),
    float("inf"),
    3 + 4j,
    (),
    [[1.0], [2.0, 3.0]],
    {},
    np.array("2020-01-01", "datetime64[D]"),
    np.ma.masked_less(np.zeros((2, 2)), 1),
    np.array([None, 1], object),
    np.array(["a"]),
    np.ones((2, 2), complex),
    np.zeros((0, 3)),
    np.full((8, 8), np.nan),
    lambda step: 0.5,
    int,
)


def names(call: Callable[..., Any], known: dict[str, Any]) -> set[str]:
    """Return the parameters to try: those of the call, and the mode and window where there are any."""
    return {*known, *({"mode", "window"} & set(inspect.signature(call).parameters))}


def test_every_public_function_is_here() -> None:
    public = {name for name in tn.__all__ if name in vars(tn) or getattr(tn, name, None) is not None}
    mine = {
        name for name in public if getattr(getattr(tn, name), "__module__", "").startswith("thinnet.variants")
    }
    assert mine - {"CATALOGUE"} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_valid_call(name: str) -> None:
    call, known = CALLS[name]
    if name == "register":
        known = {**known, "row": variants.Variant("Odd", "input", "n", variants.inverted, cite="", doc="")}
    call(**known)
    from thinnet.variants import _catalogue

    _catalogue._rows.pop("Odd", None)


def refused(call: Callable[..., Any], arguments: dict[str, Any], case: str) -> str:
    """Return the line of a refusal, or a dot where the call succeeds; no other error is right."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            call(**arguments)
    except InputError as error:
        return str(error)
    except Exception as error:
        pytest.fail(f"{case}: {type(error).__name__}: {error}")
    return "."


@pytest.mark.parametrize("name", CALLS)
def test_nonsense_is_refused_in_one_line(name: str) -> None:
    call, known = CALLS[name]
    for parameter in sorted(names(call, known)):
        for value in NONSENSE:
            text = refused(call, {**known, parameter: value}, f"{name}({parameter}={value!r})")
            assert "\n" not in text, (parameter, value)
            assert text.endswith((".", "?")), (parameter, value)
