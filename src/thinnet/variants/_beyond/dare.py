"""DARE: fine-tuned models are merged after most of their changes were dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_array, check_numbers, check_rate, check_type, format_value
from thinnet._core.random import Key
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant
from thinnet.variants._catalogue import find
from thinnet.variants._sample import drop

__all__ = ["ROW", "dare_merge"]

_DARE = find("DARE")


def dare_merge(
    base: ArrayLike,
    tuned: Sequence[ArrayLike],
    rate: float,
    *,
    key: Key,
    weights: Sequence[float] | None = None,
) -> Array:
    """Merge fine-tuned weights: `base + sum over k of weights[k] * (DARE(tuned[k]) - base)`.

    Model k is dropped under `key.fold(k)`, so its mask does not depend on the other models. Give each array
    of a network a key of its own: `key.fold(name)`.

    Parameters
    ----------
    base : array_like of float16, bfloat16, float32 or float64
        The pretrained weights.
    tuned : sequence of array_like, of the shape of base
        The weights of the fine-tuned models.
    rate : float
        Chance that a change is dropped, in [0, 1]; 0.9 and more in the paper.
    key : Key
        The address of the randomness.
    weights : sequence of float, optional
        The weight of each model, finite; 1 for each if not given, which adds all changes (task arithmetic).

    Returns
    -------
    ndarray
        Of the shape and dtype of base; computed in float64.

    Raises
    ------
    InputError
        Arrays of other shapes, no model, weights that are not one number for each model.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> base, tuned = np.ones(6), np.ones(6) + 0.25
    >>> dare_merge(base, [tuned], 0.5, key=tn.Key(0))
    array([1. , 1. , 1.5, 1. , 1. , 1.5])

    References
    ----------
    Yu et al.: Language models are super Mario: absorbing abilities from homologous models as a free lunch.
    ICML 2024.
    """
    first = check_array("dare_merge", base, "base")
    check_key("dare_merge", key)
    chance = float(check_rate("dare_merge", rate, ()))
    check_type("dare_merge", "tuned", tuned, Sequence, "pass a list of arrays")
    models = [check_array("dare_merge", each, f"tuned[{k}]") for k, each in enumerate(tuned)]
    if not models or any(each.shape != first.shape for each in models):
        got = [each.shape for each in models]
        raise InputError(
            f"dare_merge: tuned must be arrays of the shape of base, {first.shape}, got {format_value(got)}."
        )
    exact, total = first.astype(np.float64), first.astype(np.float64)
    for k, (each, weight) in enumerate(zip(models, _weights(weights, len(models)), strict=True)):
        kept = drop(_DARE, each.astype(np.float64), chance, key=key.fold(k), other=exact)
        total += weight * (kept - exact)
    with np.errstate(over="ignore"):
        return total.astype(first.dtype)


def _weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """Return one weight for each model."""
    if weights is None:
        return [1.0] * count
    known = check_numbers("dare_merge", "weights", weights)
    if known.shape != (count,) or not np.isfinite(known).all():
        raise InputError(
            f"dare_merge: weights must be finite numbers, one for each of {count}, "
            f"got {format_value(weights)}."
        )
    return known.tolist()


ROW = FunctionVariant(
    "dare_merge",
    "weight",
    "Yu et al.: Language models are super Mario: absorbing abilities from homologous models as a free lunch. "
    "ICML 2024",
    "Merges fine-tuned weights after dropping most of their changes; the row DARE drops those of one model.",
    "it adds the changes of several models",
    (dare_merge,),
    usual=0.9,
    helps="Several language models that were fine-tuned from the same weights.",
)
