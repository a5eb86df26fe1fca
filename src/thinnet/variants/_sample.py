"""Apply a variant to an array: a sample of its law, or the mean of it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import (
    FLOATS,
    broadcasts,
    check_array,
    check_choice,
    check_out,
    check_overlap,
    check_rate,
    check_shape,
    format_value,
)
from thinnet._core import kernels
from thinnet._core.apply import apply, working_type
from thinnet._core.random import Key, Window
from thinnet._core.random.key import check_key
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._catalogue import find
from thinnet.variants._law import TwoPoint, threshold_of
from thinnet.variants._pattern import lane_window
from thinnet.variants._variant import MODES, PASSED, Mode, Variant

__all__ = ["Mode", "drop", "dropout", "mask", "mean", "sample"]

Array: TypeAlias = NDArray[Any]

_DROPOUT = find("Dropout")
_LOWEST_BFLOAT16 = -3.3895313892515355e38


def dropout(
    x: ArrayLike, rate: ArrayLike, *, key: Key | None = None, mode: Mode = "sample", out: Array | None = None
) -> Array:
    """Zero each entry with chance `rate` and divide the others by keep.

    `y = x / keep` where `lane >= round(rate * 65536)`, else 0, with `keep = 1 - round(rate * 65536) / 65536`,
    so the mean of y is x exactly. A dropped entry is +0 where x is infinite or NaN, too.

    Parameters
    ----------
    x : array_like of float16, float32, float64, or bfloat16 (of ml_dtypes), any shape
        Activations.
    rate : float or array_like
        Chance that an entry is dropped, in [0, 1]; an array must broadcast against x.
    key : Key
        The address of the randomness; the same key gives the same mask, so backward is
        `dropout(dy, rate, key=key)` and no mask is stored. The mode "mean" needs none.
    mode : {"sample", "mean"}
        Draw a mask, or apply the mean (here: return x).
    out : ndarray, optional
        The output buffer, of the shape and dtype of x; may be x.

    Returns
    -------
    ndarray
        Of the shape and dtype of x; `out` if given.

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
    variant: str | Variant,
    x: ArrayLike,
    rate: ArrayLike,
    *,
    key: Key | None = None,
    other: ArrayLike | None = None,
    mode: Mode = "sample",
    block: int | tuple[int, ...] | None = None,
    pattern: str | None = None,
    window: Window | None = None,
    out: Array | None = None,
) -> Array:
    """Apply a variant to an array: draw one sample of its law, or apply its mean.

    `y = gain * x + shift * other`

    Parameters
    ----------
    variant : str or Variant
        A name of `thinnet.CATALOGUE`, or a variant of your own.
    x : array_like of float16, float32, float64, or bfloat16 (of ml_dtypes)
        Activations, weights or inputs; the axes must fit the pattern.
    rate : float or array_like
        Chance that an entry is dropped, in [0, 1].
    key : Key
        The address of the randomness; the mode "mean" needs none.
    other : array_like of the dtype of x, or float, optional
        The replacement of dropped entries, broadcast against x: the previous state of Zoneout, the pretrained
        weights of Mixout. Only for variants that need it.
    mode : {"sample", "mean"}
        Draw from the law, or apply its mean as the mean network does.
    block : int or tuple of int, optional
        The size of blocks along each axis that has them, for a variant that drops blocks.
    pattern : str, optional
        Which entries share one lane, in place of the variant's own pattern: one word for each axis, "n 1 f"
        for one lane for each first and last index.
    window : Window, optional
        The part of a global array that x is; all of it if not given.
    out : ndarray, optional
        The output buffer, of the shape and dtype of x; may be x.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An unknown name, a rate outside [0, 1], an array that does not fit the pattern or the block, an
        `other` that is missing or not needed.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> tn.drop("VanillaDropout", np.ones(4), 0.25, key=tn.Key(0), mode="mean")
    array([0.75, 0.75, 0.75, 0.75])
    >>> tn.drop("Dropout", np.ones((3, 4)), 0.5, key=tn.Key(0), pattern="n 1")
    array([[2., 2., 2., 2.],
           [0., 0., 0., 0.],
           [2., 2., 2., 2.]])
    """
    row = variant if type(variant) is Variant else find(variant)
    if block is not None or pattern is not None:
        row = row.sized(block).patterned(pattern)
    array = check_array(row.name, x)
    target = np.empty(array.shape, array.dtype) if out is None else check_out(row.name, array, out)
    checked = check_rate(row.name, rate, array.shape)
    if type(mode) is not str or mode not in MODES:
        check_choice(row.name, "mode", mode, MODES)
    if type(key) is not Key and not (key is None and mode == "mean"):
        check_key(row.name, key)  # pyright: ignore[reportArgumentType]
    if window is not None:
        check_window(row.name, window, array.shape)
    if row.block:
        _check_block(row, window.shape if window else array.shape, checked)
    third: Any = None if other is None and row.other not in PASSED else _other(row, other, array)
    if type(third) is np.ndarray and out is not None:
        check_overlap(row.name, third, out, "other")
    if array.dtype.type not in FLOATS:  # bfloat16, which NumPy has by its bits alone
        third = third.view(np.uint16) if type(third) is np.ndarray else third
        array, written = array.view(np.uint16), target.view(np.uint16)
    else:
        written = target
    if key is None or mode == "mean":
        mean(row, array, checked, other=third, out=written)
    else:
        sample(row, array, checked, key, other=third, window=window, out=written)
    return target


def _check_block(row: Variant, shape: tuple[int, ...], rate: Any) -> None:
    if why := row.unfit(shape):
        raise InputError(f"{row.name}: {why}.")
    if np.prod(np.shape(rate)[-len(row.block) :], initial=1) != 1:
        raise InputError(f"{row.name}: takes one rate for a whole map, got rates of shape {np.shape(rate)}.")


def sample(
    variant: Variant,
    x: Array,
    rate: Any,
    key: Key,
    *,
    other: Any = None,
    window: Window | None = None,
    out: Array | None = None,
    shifted: bool = True,
) -> Array:
    """Draw one sample of a variant's law; the caller has checked the arguments, as `drop` does.

    The law is linear in (x, other), so the gradient of x is `sample(variant, dy, rate, key, shifted=False)`,
    which leaves out the second term.
    """
    out = np.empty(x.shape, x.dtype) if out is None else out
    law = variant.law_of(rate)
    law = law if shifted else law.unshifted
    if window is not None or variant.pattern != "...":
        window = lane_window(variant.pattern, window or x.shape, variant.name)
    source = kernels.new_source((key, window, variant.block))
    if isinstance(law, TwoPoint):
        return kernels.two_point(x, law, source, _constant(variant, x) if other is None else other, out)
    return kernels.table(x, law.gains, source, out, shifts=law.shifts, other=other)


def mean(variant: Variant, x: Array, rate: Any, *, other: Any = None, out: Array | None = None) -> Array:
    """Apply the mean of a variant's law; the caller has checked the arguments, as `drop` does."""
    out = np.empty(x.shape, x.dtype) if out is None else out
    gain, shift = variant.mean_of(rate)
    work = working_type(x)  # of the kernels: rates may be arrays of float64
    third: Any = _constant(variant, x) if other is None else other
    return apply(np.asarray(gain, work), np.asarray(shift, work), x, third, out)


def _constant(variant: Variant, x: Array) -> float:
    """Return the replacement of dropped entries where the caller passes none."""
    if variant.other == "lowest":
        return _LOWEST_BFLOAT16 if x.dtype.type is np.uint16 else float(np.finfo(x.dtype).min)
    return 1.0 if variant.other == "one" else 0.0


def _other(variant: Variant, other: Any, x: Array) -> Any:
    """Return `other` as a float or as an array of the dtype of x."""
    if not variant.needs_other:
        raise InputError(f"{variant.name}: takes no other; leave it out.")
    if other is None:
        raise InputError(f"{variant.name}: other is missing; pass {PASSED[variant.other]} as other=.")
    if isinstance(other, int | float) and not isinstance(other, bool):
        try:
            return float(other)
        except OverflowError:  # a whole number with hundreds of digits
            raise InputError(f"{variant.name}: other must be a float, got {format_value(other)}.") from None
    array = check_array(variant.name, other, "other")
    if array.dtype != x.dtype:
        raise InputError(f"{variant.name}: other must have the dtype of x, {x.dtype}, got {array.dtype}.")
    if not broadcasts(array.shape, x.shape):
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
        Chance that an entry is dropped, in [0, 1]; an array must broadcast against the shape.
    key : Key
        The address of the randomness.
    window : Window, optional
        The part of a global mask that this is; all of it if not given.

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
    shape = check_shape("mask", "shape", shape)
    if window is not None:
        check_window("mask", window, shape, "the mask")
    threshold = threshold_of(check_rate("mask", rate, shape))
    return kernels.mask(shape, kernels.Source(key, window), threshold)
