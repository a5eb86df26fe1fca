"""Networks on disk: a safetensors file of weights, with JSON beside them. Loading runs no code.

The metadata entry `thinnet` is a JSON object: `format`, `layers`, `loss`, `dtype`, `key`, `step`, and
`extra`, which belongs to whoever saved the network.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np

from thinnet import _files as files
from thinnet import schedules as schedule_module
from thinnet._core.random import Key
from thinnet.errors import FileError, InputError, need
from thinnet.net import (
    _connect as connect,
)
from thinnet.net import (
    _conv as conv,
)
from thinnet.net import (
    _dropout as dropout,
)
from thinnet.net import _layers as layer_module
from thinnet.net import _losses as loss_module
from thinnet.net import (
    _norm as norm,
)
from thinnet.net import (
    _pool as pool,
)
from thinnet.net import (
    _residual as residual,
)
from thinnet.net._layers import Layer
from thinnet.net._network import Network

__all__ = ["load", "save"]

_FORMAT = "thinnet.network/1"


class Kinds(NamedTuple):
    """Classes that a file may name."""

    one: str
    home: str
    known: dict[str, type]


def _kinds(one: str, base: type, *modules: ModuleType) -> Kinds:
    found: dict[str, type] = {}
    for module in modules:
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, base) and kind is not base:
                found[name] = kind
    return Kinds(one, modules[0].__name__, found)


LAYERS = _kinds("layer", Layer, layer_module, connect, conv, dropout, norm, pool, residual)
LOSSES = _kinds("loss", loss_module.Loss, loss_module)
SCHEDULES = _kinds("object", object, schedule_module)


def save(network: Network, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
    """Write a network, whole or not at all.

    Parameters
    ----------
    network : Network
        What to write.
    path : path
        Where; a `.safetensors` file by custom.
    metadata : dict, optional
        Plain JSON that travels with it.

    Raises
    ------
    FileError
        The file cannot be written.
    InputError
        A layer, loss or schedule that is not thinnet's own, which `load` could not make again;
        metadata that is not JSON.
    """
    safetensors = need("safetensors.numpy", extra="save", owner="Network.save")
    description: dict[str, Any] = {
        "format": _FORMAT,
        "inputs": list(network.shapes[0]),
        "layers": [_pack(layer, LAYERS) for layer in network.layers],
        "loss": _pack(network.loss.plain, LOSSES),
        "dtype": str(network.dtype),
        "key": [network.key.value, network.key.step],
        "step": network.step,
        "extra": metadata or {},
    }
    tensors = {
        f"{i}.{name}": np.ascontiguousarray(value)
        for i, group in enumerate(network.weights)
        for name, value in group.items()
    }
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"Network.save: layers and metadata must be plain JSON ({error}).") from error
    data = safetensors.save(tensors, {"thinnet": text})
    files.write_bytes(path, data)


def load(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any]]:
    """Read a network and the metadata it was saved with.

    Raises
    ------
    FileError
        No such file; cut short; not written by thinnet; weights that do not fit the layers.
    """
    safetensors = need("safetensors", extra="save", owner="Network.load")
    path = Path(path)
    try:
        # Opened here first, because the reader's own errors carry no error number.
        path.open("rb").close()
        with safetensors.safe_open(path, framework="numpy") as opened:
            described = cast("dict[str, str]", opened.metadata() or {}).get("thinnet")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {files.explain(error)}.") from error
    except Exception as error:  # the reader's own error class has no common base with ours
        raise FileError(f"{path}: not a whole safetensors file ({error}); save the network again.") from error
    try:
        description = json.loads(described or "")
        if description["format"] != _FORMAT:
            raise FileError(
                f"{path}: format {description['format']!r} is not {_FORMAT!r}; save the network again."
            )
        network = _rebuild(description, tensors)
        return network, dict(description["extra"])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise FileError(
            f"{path}: not a network of thinnet ({_reason(error)}); load a file it saved."
        ) from error


def _reason(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _rebuild(description: dict[str, Any], tensors: dict[str, Any]) -> Network:
    layers = [_unpack(value, LAYERS) for value in description["layers"]]
    loss = _unpack(description["loss"], LOSSES)
    key = Key(*description["key"])
    kept = [{name: shape for name, (shape, _) in layer.buffers().items()} for layer in layers]
    known = [{**layer.shapes(), **also} for layer, also in zip(layers, kept, strict=True)]
    shapes = {f"{i}.{name}": shape for i, group in enumerate(known) for name, shape in group.items()}
    if set(shapes) != set(tensors):
        raise InputError("its weights do not belong to its layers")
    # Before the network is made: a file cannot ask for more memory than it brings weights.
    for name, shape in shapes.items():
        if tensors[name].shape != shape or str(tensors[name].dtype) != description["dtype"]:
            raise InputError(
                f"{name} is {tensors[name].dtype} of shape {tensors[name].shape}, "
                f"not {description['dtype']} of shape {shape}"
            )
    inputs = description.get("inputs")  # a Dense layer says so itself
    inputs = None if inputs is None else tuple(int(each) for each in inputs)
    network = Network(layers, key=key, loss=loss, dtype=description["dtype"], inputs=inputs)
    network.step = key.at(description["step"]).step
    for i, group in enumerate(network.weights):
        for name, place in group.items():
            place[...] = tensors[f"{i}.{name}"]
    return network


def _pack(value: Any, kinds: Kinds) -> dict[str, Any]:
    """Return a layer, loss or schedule as plain JSON: its class name and fields."""
    name = type(value).__name__
    if kinds.known.get(name) is not type(value):
        raise InputError(
            f"Network.save: {name} is not a class of {kinds.home}, so the file could not be loaded; "
            "use one of those."
        )
    packed: dict[str, Any] = {"type": name}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if isinstance(content, Layer):
            content = _pack(content, LAYERS)
        elif callable(content):
            content = _pack(content, SCHEDULES)
        elif isinstance(content, tuple):
            each = cast("tuple[Any, ...]", content)
            content = [_pack(part, LAYERS) if isinstance(part, Layer) else part for part in each]
        packed[field.name] = content
    return packed


def _unpack(value: Any, kinds: Kinds) -> Any:
    """Return what `_pack` described: only classes of the kinds are ever made."""
    fields = dict(value)
    name = fields.pop("type")
    if name not in kinds.known:
        raise InputError(f"there is no {kinds.one} {name!r}")
    for key, content in fields.items():
        if isinstance(content, dict):
            inner = cast("dict[str, Any]", content)
            fields[key] = _unpack(inner, LAYERS if inner.get("type") in LAYERS.known else SCHEDULES)
        elif isinstance(content, list):
            each = cast("list[Any]", content)
            fields[key] = tuple(_unpack(part, LAYERS) if isinstance(part, dict) else part for part in each)
    return kinds.known[name](**fields)
