"""
Compiled kernels of thinnet; thinnet._core calls them and defines each of them in NumPy.
"""

from typing import Any

import numpy.typing

import thinnet._core.kernels.records


def bodies() -> list[str]:
    """
    Return the names of the instruction sets that this processor runs, best first.
    """

def body() -> str:
    """Return the name of the instruction set in use."""

def use(name: str) -> None:
    """Use another instruction set from now on, in all threads."""

def words(key: int, step: int, block: int, out: numpy.typing.NDArray[Any]) -> None:
    """
    Write the words of consecutive blocks, from number `block` on, to `out`: uint32, four for each block.
    """

def fold(key: int, step: int, number: int, tag: int) -> int:
    """
    Return the first 64 bits of the block at counter (number, step, tag): the value of a folded key.
    """

def lanes(out: numpy.typing.NDArray[Any], key: int, step: int, where: tuple[()] | thinnet._core.kernels.records.Placement, begin: int, end: int) -> None:
    """
    Write lanes to `out`, uint16, for entries begin to end; end = -1 means all.
    """

def mask(out: numpy.typing.NDArray[Any], key: int, step: int, where: tuple[()] | thinnet._core.kernels.records.Placement, threshold: int, begin: int, end: int) -> None:
    """Write `lane >= threshold` to `out`, bool."""

def two_point(x: numpy.typing.NDArray[Any], out: numpy.typing.NDArray[Any], other: float | numpy.typing.NDArray[Any], key: int, step: int, where: tuple[()] | thinnet._core.kernels.records.Placement, threshold: int, dropped_gain: float, dropped_shift: float, kept_gain: float, kept_shift: float, begin: int, end: int) -> bool:
    """
    Write a two-point law of x to `out`; `other` is a float or an array of the shape and dtype of x.

    Returns False, and writes nothing, if the layout of an array does not fit.
    """

def two_point_rates(x: numpy.typing.NDArray[Any], out: numpy.typing.NDArray[Any], other: float | numpy.typing.NDArray[Any], key: int, step: int, where: tuple[()] | thinnet._core.kernels.records.Placement, thresholds: numpy.typing.NDArray[Any], dropped_gain: numpy.typing.NDArray[Any] | None, dropped_shift: numpy.typing.NDArray[Any] | None, kept_gain: numpy.typing.NDArray[Any], kept_shift: numpy.typing.NDArray[Any] | None, begin: int, end: int) -> bool:
    """
    Write a two-point law whose thresholds (int32) and factors are contiguous arrays of one shape.

    The shape has the axes of x, some of one entry. None stands for factors that are all 0.
    Returns False, and writes nothing, if the layout of an array does not fit.
    """

def two_point_at(x: int, out: int, count: int, type: int, key: int, step: int, threshold: int, dropped_gain: float, kept_gain: float) -> None:
    """
    Write a two-point law without shifts of `count` entries at address x to address `out`.

    Types 0 to 3 are float16, bfloat16, float32 and float64.
    """

def table(x: numpy.typing.NDArray[Any], out: numpy.typing.NDArray[Any], other: numpy.typing.NDArray[Any] | None, gains: numpy.typing.NDArray[Any], shifts: numpy.typing.NDArray[Any] | None, key: int, step: int, where: tuple[()] | thinnet._core.kernels.records.Placement, begin: int, end: int) -> bool:
    """
    Write `gains[lane] * x + shifts[lane] * other` to `out`; `other` and `shifts` may both be None.

    Returns False, and writes nothing, if the layout of an array does not fit.
    """

def dense_forward(z: numpy.typing.NDArray[Any], y: numpy.typing.NDArray[Any], bias: numpy.typing.NDArray[Any], key: int, step: int, activation: int, slope: float, threshold: int, gain: float, begin: int, end: int) -> None:
    """
    Write `dropout(activation(z + bias))` to y for rows begin to end; GELU writes z + bias to z too.
    """

def dense_backward(saved: numpy.typing.NDArray[Any], dy: numpy.typing.NDArray[Any], key: int, step: int, activation: int, slope: float, threshold: int, gain: float, begin: int, end: int) -> None:
    """
    Turn the gradient of y into that of z in place; `saved` is y, or z + bias for GELU.
    """

def update(w: numpy.typing.NDArray[Any], g: numpy.typing.NDArray[Any], first: numpy.typing.NDArray[Any], second: numpy.typing.NDArray[Any], rule: int, rate: float, l2: float, shrink: float, beta1: float, beta2: float, epsilon: float, correction: float, decayed: int, columns: int, max_norm: float, begin: int, end: int) -> None:
    """
    Update weights in place; rules 0 to 3 are SGD, momentum, Nesterov's and Adam.
    """
