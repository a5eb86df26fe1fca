"""PatchDropout: some tokens are removed, so that a transformer has less to compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_integer, check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant, check_call
from thinnet.variants._variant import Mode

__all__ = ["ROW", "count_kept", "kept_tokens", "patch_dropout"]


def count_kept(tokens: int, *, rate: float, prefix: int) -> int:
    """Return the number of tokens that are kept: at least one of those after the prefix, if there are any.

    Examples
    --------
    >>> count_kept(9, rate=0.5, prefix=1)
    5
    """
    free = tokens - prefix
    return prefix + max(min(1, free), round(free * (1 - rate)))


def kept_tokens(key: Key | None, window: Window, *, rate: float, prefix: int) -> NDArray[np.intp]:
    """Return the indices of the tokens that are kept, ascending, shape (n, k); all of them without a key.

    Examples
    --------
    >>> kept_tokens(Key(0), Window.whole((2, 9, 3)), rate=0.5, prefix=1).tolist()
    [[0, 2, 3, 6, 7], [0, 2, 3, 4, 7]]
    """
    n, free = window.size[0], window.size[1] - prefix
    if key is None or not free:
        return np.tile(np.arange(window.size[1], dtype=np.intp), (n, 1))
    count = count_kept(window.size[1], rate=rate, prefix=prefix) - prefix
    samples = Window((window.shape[0], free, 2), (window.start[0], 0, 0), (n, free, 2))
    # Two lanes make one number of 32 bits; equal ones keep their order.
    scores = lanes(key, samples).astype(np.uint32) @ np.array([65536, 1], np.uint32)
    chosen = np.sort(np.argsort(scores, axis=1, kind="stable")[:, :count], axis=1)
    front = np.broadcast_to(np.arange(prefix), (n, prefix))
    return np.concatenate([front, chosen + prefix], axis=1).astype(np.intp)


def patch_dropout(
    x: ArrayLike,
    rate: float,
    *,
    key: Key | None = None,
    prefix: int = 0,
    mode: Mode = "sample",
    window: Window | None = None,
) -> tuple[Array, NDArray[np.intp]]:
    """Remove tokens of each sample; exactly `round((t - prefix) * keep)` stay, at least one, in their order.

    Add position embeddings before. Nothing is scaled, and inference keeps all tokens.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, t, features)
        Tokens.
    rate : float
        Share of tokens that is removed, in [0, 1].
    key : Key
        The address of the randomness; the mode "mean" needs none.
    prefix : int
        How many tokens at the front always stay: 1 where the first is the class token.
    mode : {"sample", "mean"}
        Remove tokens, or none.
    window : Window, optional
        The samples of a global array that x is; all their tokens and features belong to it.

    Returns
    -------
    kept : ndarray, shape (n, k, features)
    index : ndarray of int, shape (n, k)
        The indices of these tokens, ascending.

    Raises
    ------
    InputError
        An x of other axes, a rate outside [0, 1], a window with some of the tokens or features.

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
    array = check_call("PatchDropout", x, key, mode, "n tokens features")
    chance = float(check_rate("PatchDropout", rate, ()))
    where = check_window("PatchDropout", window, array.shape)
    prefix = check_integer("PatchDropout", "prefix", prefix, 0, array.shape[1])
    if where.size[1:] != where.shape[1:]:
        raise InputError("PatchDropout: a window must have all tokens and features of its samples.")
    index = kept_tokens(key if mode == "sample" else None, where, rate=chance, prefix=prefix)
    return np.take_along_axis(array, index[:, :, None], axis=1), index


ROW = FunctionVariant(
    "PatchDropout",
    "embedding",
    "Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3",
    "Removes an exact share of the tokens, so that the transformer has less to compute.",
    "dropped tokens are removed: the array gets shorter",
    (patch_dropout,),
    usual=0.5,
    helps="Vision transformers on large images: half the tokens, less than half the cost.",
    differs="timm's PatchDropout gives the kept tokens in random order unless asked otherwise.",
)
