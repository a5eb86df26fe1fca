"""Recurrent layers in torch's own kernels, layer by layer, with dropout between them."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet.torch._reach.activations import Calls, Handler, rate_of, suits
from thinnet.torch.functional import drop

__all__ = ["HANDLERS"]

Tensor: TypeAlias = torch.Tensor


@torch.compiler.disable  # compilers break the graph at recurrent layers, and would start another one here
def _recurrent(calls: Calls, func: Any, *args: Any) -> Any:
    """Run `torch.lstm`, `torch.gru`, `torch.rnn_tanh` or `torch.rnn_relu`.

    The arguments are those of torch: (input, hx, weights, biases, layers, p, training, bidirectional,
    batch_first), or (data, batch_sizes, hx, weights, biases, layers, p, training, bidirectional) for packed
    sequences. A mask has shape (n, time, features), and for packed sequences that of the data.
    """
    packed = not isinstance(args[3], bool)
    first = 2 if packed else 1
    hx, weights, biases, layers, p, training, both, *batch_first = args[first:]
    rate = rate_of(p)
    if not training or rate == 0 or layers == 1 or not suits(args[0]):
        return func(*args)
    states = hx if isinstance(hx, (tuple, list)) else (hx,)
    directions, size = 1 + both, len(weights) // layers
    x, last = args[0], []
    for layer in range(layers):
        if layer:
            x = _drop(calls, x, rate, time_first=not packed and not batch_first[0])
        own = [state[layer * directions : (layer + 1) * directions] for state in states]
        own = own if isinstance(hx, (tuple, list)) else own[0]
        part = weights[layer * size : (layer + 1) * size]
        x, *state = func(x, *args[1:first], own, part, biases, 1, 0.0, training, both, *batch_first)
        last.append(state)
    return x, *(torch.cat(parts) for parts in zip(*last, strict=True))


def _drop(calls: Calls, x: Tensor, rate: Any, *, time_first: bool) -> Tensor:
    key = calls.key("Dropout")
    if not time_first:
        return drop("Dropout", x, rate, key=key)
    return drop("Dropout", x.transpose(0, -2), rate, key=key).transpose(0, -2)


_torch: Any = torch
HANDLERS: dict[Any, Handler] = {
    getattr(_torch, name): _recurrent for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")
}
"""Each function of torch that runs recurrent layers, and its handler."""
