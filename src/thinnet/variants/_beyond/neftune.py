"""NEFTune: uniform noise on the embeddings of tokens while a language model is fine-tuned."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from thinnet._checks import check_number
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.variants._beyond.function import Array, FunctionVariant, Gains, add, check_call, uniform_table
from thinnet.variants._law import LANES
from thinnet.variants._variant import Mode

__all__ = ["ROW", "neftune_noise", "shifts"]


def shifts(key: Key, window: Window, *, alpha: float) -> Gains:
    """Return noise that is uniform on (-s, s), `s = alpha / sqrt(tokens * features)`; the gain is 1.

    Examples
    --------
    >>> shifts(Key(0), Window.whole((1, 4, 1)), alpha=2.0)[0, :, 0].round(3).tolist()
    [0.819, -0.202, 0.543, 0.761]
    """
    _, tokens, features = window.shape
    size, drawn = alpha / math.sqrt(max(1, tokens * features)), lanes(key, window)
    if drawn.size > LANES:
        return (size * (2 * uniform_table() - 1))[drawn]
    return size * (2 * uniform_table()[drawn] - 1)


def neftune_noise(
    x: ArrayLike, alpha: float, *, key: Key | None = None, mode: Mode = "sample", window: Window | None = None
) -> Array:
    """Add uniform noise, `y = x + u * alpha / sqrt(tokens * features)` with u uniform on (-1, 1).

    The mean is x, and the gradient of x is dy.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, tokens, features)
        Embeddings.
    alpha : float
        The size of the noise, at least 0; 5, 10 or 15 in the paper.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    mode : {"sample", "mean"}
        Add noise, or return x.
    window : Window, optional
        The part of a global array that x is; the global number of tokens and features scales the noise.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a negative alpha.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> neftune_noise(np.ones((1, 2, 2)), 1.0, key=tn.Key(0)).round(3)
    array([[[1.41 , 0.899],
            [1.272, 1.381]]])

    References
    ----------
    Jain et al.: NEFTune: noisy embeddings improve instruction finetuning. ICLR 2024, section 2, algorithm 1.
    """
    array = check_call("NEFTune", x, key, mode, "n tokens features")
    size = check_number("NEFTune", "alpha", alpha, 0)
    where = check_window("NEFTune", window, array.shape)
    if key is None or mode == "mean":
        return array.copy()
    return add(shifts(key, where, alpha=size), array)


ROW = FunctionVariant(
    "NEFTune",
    "embedding",
    "Jain et al.: NEFTune: noisy embeddings improve instruction finetuning. ICLR 2024, section 2",
    "Adds uniform noise to the embeddings of tokens; longer and wider inputs get less of it.",
    "the size of the noise depends on the shape of x, and it has no rate",
    (neftune_noise,),
    usual=None,
    helps="Fine-tuning language models on instructions: alpha 5.",
    differs="Padded tokens count in the size of the noise, as with transformers' neftune_noise_alpha.",
)
