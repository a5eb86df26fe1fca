"""PatchDropout: some tokens are removed, so that a transformer has less to compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_integer, check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part

__all__ = ["ROW", "patch_dropout"]


def patch_dropout(
    x: ArrayLike,
    rate: float,
    *,
    key: Key,
    prefix: int = 0,
    mode: str = "sample",
    window: Window | None = None,
) -> tuple[Array, NDArray[np.intp]]:
    """Remove tokens of each sample: exactly `round((t - prefix) * keep)` stay, at least one, in their order.

    Add position embeddings before. Nothing is scaled, and inference keeps all.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, t, features)
        Tokens.
    rate : float
        Share of tokens that is removed, in [0, 1].
    key : Key
        The address of the randomness.
    prefix : int
        How many tokens at the front always stay: 1 where the first is the class token.
    mode : {"sample", "mean"}
        Remove tokens, or none.
    window : Window, optional
        Which samples of which global array these are; tokens and features have to be whole.

    Returns
    -------
    kept : ndarray, shape (n, k, features)
    index : ndarray of int, shape (n, k)
        Which tokens these are, ascending.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> kept, index = patch_dropout(np.zeros((2, 9, 3)), 0.5, key=tn.Key(0), prefix=1)
    >>> kept.shape, index.tolist()
    ((2, 5, 3), [[0, 2, 3, 6, 7], [0, 2, 3, 4, 7]])

    References
    ----------
    Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3.
    """
    array = opened("PatchDropout", x, key, mode, "n tokens features")
    chance = float(check_rate("PatchDropout", rate, ()))
    where = part("PatchDropout", array, window)
    n, tokens = array.shape[:2]
    prefix = check_integer("PatchDropout", "prefix", prefix, 0, tokens)
    if where.size[1:] != where.shape[1:]:
        raise InputError("PatchDropout: a window has to hold all tokens and features of its samples.")
    free = tokens - prefix
    stay = free if mode == "mean" or not free else max(1, round(free * (1 - chance)))
    samples = Window((where.shape[0], free, 2), (where.start[0], 0, 0), (n, free, 2))
    # Two lanes make one number of 32 bits; equal ones keep their order.
    scores = lanes(key, samples).astype(np.uint32) @ np.array([65536, 1], np.uint32)
    chosen = np.sort(np.argsort(scores, axis=1, kind="stable")[:, :stay], axis=1)
    front = np.broadcast_to(np.arange(prefix), (n, prefix))
    index = np.concatenate([front, chosen + prefix], axis=1).astype(np.intp)
    return np.take_along_axis(array, index[:, :, None], axis=1), index


ROW = FunctionVariant(
    "PatchDropout",
    "embedding",
    "Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3",
    "Removes tokens, exactly as many as asked, so that the transformer has less to compute.",
    "what is dropped is gone: the array gets shorter",
    (patch_dropout,),
    usual=0.5,
    helps="Vision transformers on large images: half the tokens, less than half the cost.",
    differs="timm's PatchDropout gives the kept tokens in random order unless asked otherwise.",
)
