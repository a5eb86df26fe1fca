"""The law of every variant for NumPy: `y = gain * x + shift * other`.

This file is the only one of the NumPy side that multiplies an entry by a gain. Its arithmetic is the
definition that the compiled kernels equal to the bit:

- `gain * x` and `shift * other` are rounded one by one, then their sum; nothing is fused;
- a term whose factor is 0 is left out, and where both are left out, y is +0: a dropped entry cannot leak NaN,
  infinity or a sign, and a kept zero keeps its sign;
- float16 and bfloat16 are computed in float32 and rounded to nearest, ties to even; float32 and float64 are
  computed in their own precision; the bits of bfloat16 are held in arrays of uint16;
- no floating-point warning is raised: the overflow of a kept entry is visible in y.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["apply", "read", "working_type", "write", "zero_or_scale"]

Array: TypeAlias = NDArray[Any]

_INTEGERS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


@np.errstate(over="ignore", invalid="ignore")
def apply(gain: Any, shift: Any, x: Array, other: Any = 0.0, out: Array | None = None) -> Array:
    """Return `gain * x + shift * other`.

    Parameters
    ----------
    gain, shift : float or ndarray
        Factors that broadcast against x. The computation takes place in the common type of both factors and
        x; Python numbers have no type, so a gain of `np.float64` selects float64.
    x : ndarray of float16, float32, float64, or uint16 for the bits of bfloat16
        The entries.
    other : float or ndarray
        The replacement of dropped entries, an array in the representation of x; ignored where the shift is 0.
    out : ndarray, optional
        The output buffer, of the result's shape and the dtype of x; may be x.

    Returns
    -------
    ndarray
        Of the dtype of x, rounded once from the type of the computation.

    Examples
    --------
    >>> apply(np.array([0.0, 2.0]), 0.0, np.array([np.inf, -0.0]))
    array([ 0., -0.])
    """
    if np.ndim(gain) == 0 == np.ndim(shift) and gain == 1 and shift == 0:  # the identity
        return _copy(x, out)
    wide = read(x)
    work = np.result_type(gain, shift, wide)
    gain, shift = np.asarray(gain, work), np.asarray(shift, work)
    y = _term(gain, wide, work)
    if shift.any():
        second = _term(shift, read(cast("Array", other)) if isinstance(other, np.ndarray) else other, work)
        y = np.where(shift == 0, y, np.where(gain == 0, second, y + second))
    if out is None:
        shape = np.broadcast_shapes(y.shape, wide.shape, gain.shape, shift.shape)
        if y.dtype == x.dtype and y.shape == shape:
            return np.asarray(y)  # a result of this call, not an operand
        out = np.empty(shape, x.dtype)
    write(out, y)
    return out


def _copy(x: Array, out: Array | None) -> Array:
    if out is None:
        return x.copy()
    if out is not x:
        out[...] = x
    return out


@np.errstate(over="ignore", invalid="ignore")
def zero_or_scale(keep: NDArray[np.bool_], gain: float, x: Array, out: Array, buffer: Array) -> None:
    """Write `apply(np.where(keep, gain, 0), 0, x)` to `out` without a branch: zeroing is a bitwise `and`.

    Parameters
    ----------
    keep : ndarray of bool, shape (m,)
        True = kept.
    gain : float
        The gain of a kept entry, not 0.
    x, out : ndarray, shape (m,)
        Entries, and the output buffer, which may be x.
    buffer : ndarray of the working type, shape (m,) or longer
        Scratch memory.
    """
    work = working_type(x)
    product = np.multiply(read(x), work.type(gain), out=buffer[: x.size])
    bits = np.negative(keep.view(np.int8)).astype(_INTEGERS[work])
    np.bitwise_and(product.view(bits.dtype), bits, out=bits)
    write(out, bits.view(work))


def _term(factor: Array, value: Any, work: np.dtype[Any]) -> Array:
    """Return `factor * value`, +0 where the factor is 0."""
    zero = np.zeros((), work)
    if not factor.any():
        return zero
    product = factor * np.asarray(value, work)
    return product if factor.all() else np.where(factor == 0, zero, product)


def working_type(x: Array) -> np.dtype[Any]:
    """Return the type that entries of x are computed in, in the machine's own byte order."""
    return np.dtype(np.float64 if x.dtype.type is np.float64 else np.float32)


def read(x: Array) -> Array:
    """Return entries in their working type; uint16 holds the bits of bfloat16."""
    if x.dtype.type is np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(working_type(x), copy=False)


def write(out: Array, y: Array) -> None:
    """Round y to the type of `out`; the bits of bfloat16 to nearest, ties to even, and NaN stays NaN."""
    if out.dtype.type is not np.uint16:
        out[...] = y
        return
    bits = np.ascontiguousarray(y, np.float32).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) >> 16
    out[...] = np.where(np.isnan(y), bits >> 16 | 0x40, rounded).astype(np.uint16).reshape(np.shape(y))
