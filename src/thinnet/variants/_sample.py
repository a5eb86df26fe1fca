"""Apply a variant to an array: a sample of its law, or the mean of it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import FLOATS, check_array, check_choice, check_out, check_rate
from thinnet._core import kernels
from thinnet._core.apply import apply, working_type
from thinnet._core.random import Key, Window
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.variants._catalogue import find
from thinnet.variants._law import TwoPoint, threshold_of
from thinnet.variants._pattern import lane_window
from thinnet.variants._variant import HANDED, Variant

__all__ = ["Mode", "drop", "dropout", "mask", "mean", "sample"]

Array: TypeAlias = NDArray[Any]
Mode: TypeAlias = Literal["sample", "mean"]

_DROPOUT = find("Dropout")
_LOWEST_BFLOAT16 = -3.3895313892515355e38


def dropout(
    x: ArrayLike, rate: ArrayLike, *, key: Key | None = None, mode: Mode = "sample", out: Array | None = None
) -> Array:
    """Zero each entry with chance `rate` and divide the others by keep.

    `y = x / keep` where `lane >= round(rate * 65536)`, else 0, with `keep = 1 - round(rate * 65536) / 65536`,
    so the mean of y is x exactly. What is dropped is +0 even where x is infinite or NaN.

    Parameters
    ----------
    x : array_like of float16, float32, float64, or bfloat16 (of ml_dtypes), any shape
        Activations.
    rate : float or array_like
        Chance that an entry is dropped, in [0, 1]; an array has to broadcast against x.
    key : Key
        The address of the randomness; the same key gives the same mask, so backward is
        `dropout(dy, rate, key=key)` and no mask is stored.
    mode : {"sample", "mean"}
        Draw a mask, or apply the mean (here: return x).
    out : ndarray, optional
        Where to write, of the shape and dtype of x; may be x.

    Returns
    -------
    ndarray
        Of the shape and dtype of x; `out` if it was given.

    Raises
    ------
    InputError
        A rate outside [0, 1], an x that is not floating point, an `out` that does not fit.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> tn.dropout(np.ones(8), 0.5, key=tn.Key(0))
    array([2., 0., 2., 2., 2., 2., 2., 2.])

    Differs from `torch.nn.functional.dropout`: randomness is an argument, and 0 * inf is 0, not NaN.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, sections 4 and 10.
    """
    return drop(_DROPOUT, x, rate, key=key, mode=mode, out=out)


def drop(
    name: str | Variant,
    x: ArrayLike,
    rate: ArrayLike,
    *,
    key: Key | None = None,
    other: ArrayLike | None = None,
    mode: Mode = "sample",
    block: int | tuple[int, ...] | None = None,
    window: Window | None = None,
    out: Array | None = None,
) -> Array:
    """Apply a variant of the catalogue to an array.

    Parameters
    ----------
    name : str or Variant
        A row of `thinnet.variants.CATALOGUE`.
    x : array_like of float16, float32, float64, or bfloat16 (of ml_dtypes)
        What is dropped; its axes have to fit the variant's pattern.
    rate : float or array_like
        Chance that an entry is dropped, in [0, 1].
    key : Key
        The address of the randomness.
    other : array_like of the dtype of x, or float, optional
        What stands in for what is dropped, broadcast against x: the previous state of Zoneout, the pretrained
        weights of Mixout. Only for variants that ask for it.
    mode : {"sample", "mean"}
        Draw from the law, or apply what the mean network applies.
    block : int or tuple of int, optional
        How long blocks are along each axis that has them, for a variant that drops blocks.
    window : Window, optional
        Which part of which global array x is; all of it if not given.
    out : ndarray, optional
        Where to write, of the shape and dtype of x; may be x.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An unknown name, a rate outside [0, 1], an array that does not fit, a block that is larger than it; an
        `other` that is missing or not asked for.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> tn.drop("VanillaDropout", np.ones(4), 0.25, key=tn.Key(0), mode="mean")
    array([0.75, 0.75, 0.75, 0.75])
    """
    variant = (name if isinstance(name, Variant) else find(name)).sized(block)
    array = check_array(variant.name, x)
    target = np.empty(array.shape, array.dtype) if out is None else check_out(variant.name, array, out)
    checked = check_rate(variant.name, rate, array.shape)
    if mode != "sample" and mode != "mean":
        check_choice(variant.name, "mode", mode, ("sample", "mean"))
    if type(key) is not Key and not (key is None and mode == "mean"):
        check_key(variant.name, key)  # pyright: ignore[reportArgumentType]
    if variant.block and (why := variant.unfit(window.shape if window else array.shape)):
        raise InputError(f"{variant.name}: {why}.")
    if variant.block and np.prod(np.shape(checked)[-len(variant.block) :], initial=1) != 1:
        raise InputError(
            f"{variant.name}: takes one rate for a whole map, got rates of shape {np.shape(checked)}."
        )
    if window is not None and window.size != array.shape:
        raise InputError(f"{variant.name}: the window has size {window.size}, but x has shape {array.shape}.")
    third: Any = None if other is None and variant.other not in HANDED else _other(variant, other, array)
    if array.dtype.type not in FLOATS:  # bfloat16, which NumPy knows by its bits alone
        third = third.view(np.uint16) if type(third) is np.ndarray else third
        array, written = array.view(np.uint16), target.view(np.uint16)
    else:
        written = target
    if key is None or mode == "mean":
        mean(variant, array, checked, other=third, out=written)
    else:
        sample(variant, array, checked, key, other=third, window=window, out=written)
    return target


def sample(
    variant: Variant,
    x: Array,
    rate: Any,
    key: Key,
    *,
    other: Any = None,
    window: Window | None = None,
    out: Array | None = None,
) -> Array:
    """Draw one sample of a variant's law; the arguments have been checked (`drop` does).

    The law is linear in (x, other), so the gradient of x is `sample(variant, dy, rate, key, other=0.0)`.
    """
    out = np.empty(x.shape, x.dtype) if out is None else out
    law = variant.law_of(rate)
    if window is not None or variant.pattern != "...":
        window = lane_window(variant.pattern, window or Window.whole(x.shape), variant.name)
    lane = key, window, variant.block
    if isinstance(law, TwoPoint):
        third = _constant(variant, x) if other is None else other
        return kernels.two_point(x, lane, law.threshold, (law.dropped, law.kept), third, out)
    if law.shifts is None:
        return kernels.table(x, lane, law.gains, out)
    second = other if type(other) is np.ndarray else np.full((), other, x.dtype)
    return kernels.table(x, lane, law.gains, out, (law.shifts, second))


def mean(variant: Variant, x: Array, rate: Any, *, other: Any = None, out: Array | None = None) -> Array:
    """Apply what the mean network applies, `gain * x + shift * other`; all has been checked (`drop` does)."""
    out = np.empty(x.shape, x.dtype) if out is None else out
    gain, shift = variant.mean_of(rate)
    work = working_type(x)  # of the kernels: rates may be arrays of float64
    third: Any = _constant(variant, x) if other is None else other
    return apply(np.asarray(gain, work), np.asarray(shift, work), x, third, out)


def _constant(variant: Variant, x: Array) -> float:
    """Return what stands in where nothing is handed in."""
    if variant.other == "lowest":
        return _LOWEST_BFLOAT16 if x.dtype.type is np.uint16 else float(np.finfo(x.dtype).min)
    return 1.0 if variant.other == "one" else 0.0


def _other(variant: Variant, other: Any, x: Array) -> Any:
    """Return what was handed in as a float or an array of the dtype of x, or say what is wrong with it."""
    asked = HANDED.get(variant.other)
    if asked is None:
        raise InputError(f"{variant.name}: takes no other.")
    if other is None:
        raise InputError(f"{variant.name}: other is missing; pass other=, {asked}.")
    if isinstance(other, int | float) and not isinstance(other, bool):
        return float(other)
    array = check_array(variant.name, other, "other")
    if array.dtype != x.dtype:
        raise InputError(f"{variant.name}: other must have the dtype of x, {x.dtype}, got {array.dtype}.")
    try:
        fits = np.broadcast_shapes(array.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(
            f"{variant.name}: other, of shape {array.shape}, does not broadcast against x, of shape "
            f"{x.shape}."
        )
    return array


def mask(
    shape: tuple[int, ...], rate: ArrayLike, *, key: Key, window: Window | None = None
) -> NDArray[np.bool_]:
    """Return the mask that `dropout` draws: True = kept.

    Parameters
    ----------
    shape : tuple of int
        The shape of the mask.
    rate : float or array_like
        Chance that an entry is dropped, in [0, 1]; an array has to broadcast against the shape.
    key : Key
        The address of the randomness.
    window : Window, optional
        Which part of which global mask this is; all of it if not given.

    Returns
    -------
    ndarray of bool, of the shape

    Raises
    ------
    InputError
        A rate outside [0, 1], a window of another size.

    Examples
    --------
    >>> import thinnet as tn
    >>> tn.mask((2, 4), 0.5, key=tn.Key(0)).astype(int)
    array([[1, 0, 1, 1],
           [1, 1, 1, 1]])
    """
    check_key("mask", key)
    if window is not None and window.size != shape:
        raise InputError(f"mask: the window has size {window.size}, but the mask has shape {shape}.")
    threshold = threshold_of(check_rate("mask", rate, shape))
    return kernels.mask(shape, (key, window, ()), threshold)
