"""R-Drop: two passes under two masks, and a loss that makes their predictions agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_array
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant

__all__ = ["ROW", "r_drop"]


def r_drop(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], Array, Array]:
    """Return `(KL(p, q) + KL(q, p)) / 2` of two softmaxes, row by row, and its gradients.

    The logits come from one batch under two keys; classes that are masked with -inf contribute 0. Add this,
    times a weight of 1 to 5, to the mean of the losses of both passes.

    Parameters
    ----------
    first, second : array_like of float16, bfloat16, float32 or float64, shape (n, classes)
        Logits.

    Returns
    -------
    rows : ndarray of float64, shape (n,)
        The divergence of each row.
    d_first, d_second : ndarray, shape (n, classes)
        Its gradients with respect to the logits.

    Raises
    ------
    InputError
        Logits of different shapes.

    Examples
    --------
    >>> rows, *_ = r_drop([[0.0, 1.0], [2.0, 2.0]], [[1.0, 0.0], [5.0, 5.0]])
    >>> rows.round(4)
    array([0.4621, 0.    ])

    References
    ----------
    Liang et al.: R-Drop: regularized dropout for neural networks. NeurIPS 2021, section 2.1,
    equations 2 to 4.
    """
    x, y = check_array("RDrop", first, "first"), check_array("RDrop", second, "second")
    if x.shape != y.shape or x.ndim != 2 or not x.shape[1]:
        raise InputError(f"RDrop: logits must both have shape (n, classes), got {x.shape} and {y.shape}.")
    log_p, log_q = _log_softmax(x), _log_softmax(y)
    masked = np.isneginf(log_p)
    if not np.array_equal(masked, np.isneginf(log_q)):
        raise InputError("RDrop: a class that is masked (-inf) in one pass has to be in the other.")
    p, q = np.exp(log_p), np.exp(log_q)
    gap = np.subtract(log_p, log_q, out=np.zeros_like(log_p), where=~masked)
    forth, back = (p * gap).sum(axis=1, keepdims=True), -(q * gap).sum(axis=1, keepdims=True)
    d_first = (p * (gap - forth) + p - q) / 2
    d_second = (q * (-gap - back) + q - p) / 2
    return (forth + back)[:, 0] / 2, d_first.astype(x.dtype), d_second.astype(y.dtype)


def _log_softmax(z: Array) -> Array:
    moved = z.astype(np.float64) - z.max(axis=1, keepdims=True)
    return moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))


ROW = FunctionVariant(
    "RDrop",
    "activation",
    "Liang et al.: R-Drop: regularized dropout for neural networks. NeurIPS 2021, section 2.1",
    "Passes each batch twice, under two masks, and adds the divergence of both predictions to the loss.",
    "it is a loss, not a mask",
    (r_drop,),
    usual=None,
    helps="Fine-tuning transformers with dropout rates of 0.1 to 0.3; it doubles the cost of a step.",
    differs="The paper's code sums over classes and tokens; here each row has its own value.",
)
