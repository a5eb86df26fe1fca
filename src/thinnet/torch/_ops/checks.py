"""Checks of tensors, shared by the operators and the functions."""

from __future__ import annotations

from typing import Any

import torch

from thinnet.errors import InputError
from thinnet.torch._ops.draw import TYPES

__all__ = ["check_tensor"]


def check_tensor(owner: str, x: Any, name: str = "x", axes: str = "") -> torch.Tensor:
    """Return a dense tensor of floating point; raise InputError for anything else.

    Parameters
    ----------
    axes : str
        The names of the axes that the tensor must have, one word each; empty for any number of axes.

    Examples
    --------
    >>> check_tensor("Dropout", 3.0)
    Traceback (most recent call last):
    thinnet.errors.InputError: Dropout: x must be a torch.Tensor, got float; use torch.as_tensor(x).
    """
    if not isinstance(x, torch.Tensor):
        kind = type(x).__name__
        raise InputError(f"{owner}: {name} must be a torch.Tensor, got {kind}; use torch.as_tensor({name}).")
    if x.layout is not torch.strided or x.is_nested:
        raise InputError(f"{owner}: {name} must be dense, got {x.layout}; use {name}.to_dense().")
    if x.is_complex():
        dtype = str(x.dtype).removeprefix("torch.")
        raise InputError(
            f"{owner}: {name} must be of floating point, got {dtype}; use torch.view_as_real({name}), whose "
            "last axis is the real and the imaginary part."
        )
    if x.dtype not in TYPES:
        dtype, remedy = str(x.dtype).removeprefix("torch."), "dequantize" if x.is_quantized else "float"
        kind = "float16, bfloat16, float32 or float64" if x.is_floating_point() else "of floating point"
        raise InputError(f"{owner}: {name} must be {kind}, got {dtype}; use {name}.{remedy}().")
    if axes and x.dim() != len(axes.split()):
        raise InputError(
            f"{owner}: {name} must have shape ({', '.join(axes.split())}), got {tuple(x.shape)}."
        )
    return x
