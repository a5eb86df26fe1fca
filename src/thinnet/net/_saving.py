"""Networks on disk: a safetensors file of weights, and JSON in its metadata. Loading executes no code.

The metadata entry `thinnet` is a JSON object: `format`, `inputs` (the shape of one row), `layers`, `loss`,
`dtype`, `key`, `step`, and `extra`, the metadata of the caller. Where an optimiser is saved too, `optimizer`
holds its class and step, and the tensors `optimizer.0` and `optimizer.1` are its moments.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from thinnet import _files as files
from thinnet import schedules
from thinnet._checks import check_integer, check_path, check_type
from thinnet._core.random import Key
from thinnet.errors import FileError, InputError, need
from thinnet.net import _connect, _conv, _dropout, _layers, _losses, _norm, _pool, _residual
from thinnet.net._layers import Layer
from thinnet.net._losses import Loss
from thinnet.net._optimizers import Optimizer
from thinnet.variants import CATALOGUE, Variant

__all__ = ["SavedNetwork", "read_network", "write_network"]

Built = TypeVar("Built")

_FORMAT = "thinnet.network/1"
# The names of an optimiser's moments begin so; those of weights begin with the number of their layer.
_OPTIMIZER = "optimizer."


class Classes(NamedTuple):
    """The classes that a file may name."""

    kind: str
    home: str
    known: dict[str, type]


def _classes(kind: str, base: type, home: str, *modules: ModuleType) -> Classes:
    found: dict[str, type] = {}
    for module in modules:
        for name in module.__all__:
            each = getattr(module, name)
            if isinstance(each, type) and issubclass(each, base) and each is not base:
                found[name] = each
    return Classes(kind, home, found)


_LAYER_MODULES = (_layers, _connect, _conv, _dropout, _norm, _pool, _residual)
LAYERS = _classes("layer", Layer, "thinnet.net", *_LAYER_MODULES)
LOSSES = _classes("loss", Loss, "thinnet.net", _losses)
SCHEDULES = _classes("schedule", object, "thinnet.schedules", schedules)


class SavedNetwork(NamedTuple):
    """The content of a file: everything that a network is built from."""

    layers: list[Layer]
    loss: Loss
    dtype: str
    key: Key
    step: int
    input_shape: tuple[int, ...] | None
    tensors: dict[str, Any]


class Savable(Protocol):
    """The part of a network that is written; see `thinnet.net.Network`."""

    layers: tuple[Layer, ...]
    shapes: list[tuple[int, ...]]
    weights: list[dict[str, Any]]
    dtype: Any
    key: Key
    step: int

    @property
    def loss(self) -> Loss:
        """The loss."""
        ...


def write_network(
    network: Savable,
    path: str | os.PathLike[str],
    metadata: dict[str, Any] | None,
    optimizer: Optimizer | None,
) -> None:
    """Write a network, and the state of an optimiser; see `Network.save`."""
    safetensors = need("safetensors.numpy", extra="save", owner="Network.save")
    path = check_path("Network.save", "path", path)
    if metadata is not None:
        check_type("Network.save", "metadata", metadata, dict)
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
    if optimizer is not None:
        check_type("Network.save", "optimizer", optimizer, Optimizer)
        description["optimizer"] = {"type": type(optimizer).__name__, "step": optimizer.step}
        tensors |= {f"{_OPTIMIZER}{i}": moment for i, moment in enumerate(optimizer.state)}
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"Network.save: layers and metadata must be plain JSON ({error}).") from error
    data = safetensors.save(tensors, {"thinnet": text})
    files.write_bytes(path, data)


def read_network(
    path: str | os.PathLike[str], build: Callable[[SavedNetwork], Built], optimizer: Optimizer | None = None
) -> tuple[Built, dict[str, Any]]:
    """Read a network, made by `build`, and the metadata that it was saved with; see `Network.load`."""
    if optimizer is not None:
        check_type("Network.load", "optimizer", optimizer, Optimizer)
    safetensors = need("safetensors", extra="save", owner="Network.load")
    path = check_path("Network.load", "path", path)
    try:
        # The file is opened here first, because the errors of the reader carry no error number.
        path.open("rb").close()
        with safetensors.safe_open(path, framework="numpy") as file:
            described = cast("dict[str, str]", file.metadata() or {}).get("thinnet")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {files.explain(error)}.") from error
    except Exception as error:  # the error class of the reader has no useful base
        raise FileError(
            f"{path}: not a complete safetensors file ({error}); save the network again."
        ) from error
    try:
        description = json.loads(described or "")
        if description["format"] != _FORMAT:
            raise FileError(
                f"{path}: format {description['format']!r} is not {_FORMAT!r}; save the network again."
            )
        moments = _moments(tensors)
        saved, extra = _unpack_network(description, tensors), dict(description["extra"])
        network = build(saved)
        if optimizer is not None:
            _restore(optimizer, description.get("optimizer"), moments, saved)
        return network, extra
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise FileError(
            f"{path}: not a network of thinnet ({_reason(error)}); load a file that Network.save wrote."
        ) from error


def _moments(tensors: dict[str, Any]) -> list[Any]:
    """Remove the state of an optimiser from the tensors of a file, and return it."""
    names = sorted(name for name in tensors if name.startswith(_OPTIMIZER))
    return [tensors.pop(name) for name in names]


def _restore(
    optimizer: Optimizer, described: dict[str, Any] | None, moments: list[Any], network: SavedNetwork
) -> None:
    """Give an optimiser the state of a file, after a comparison with the network."""
    if described is None:
        raise InputError("it has no state of an optimizer; pass optimizer= to Network.save")
    if described["type"] != type(optimizer).__name__:
        raise InputError(f"its optimizer is {described['type']}, not {type(optimizer).__name__}")
    step = check_integer("Network.load", "step", described["step"], 0)
    weights = sum(math.prod(shape) for layer in network.layers for shape in layer.shapes().values())
    expected = [((weights,), network.dtype)] * (max(1, optimizer.moments) if step else 0)
    if [(moment.shape, str(moment.dtype)) for moment in moments] != expected:
        raise InputError("the moments of its optimizer do not match its weights")
    optimizer.step, optimizer.state = step, moments


def _reason(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _unpack_network(description: dict[str, Any], tensors: dict[str, Any]) -> SavedNetwork:
    """Return the parts of a network, after a comparison of its weights with its layers."""
    layers = [_unpack(value, LAYERS) for value in description["layers"]]
    loss = _unpack(description["loss"], LOSSES)
    key = Key(*description["key"])
    buffers = [{name: shape for name, (shape, _) in layer.buffers().items()} for layer in layers]
    known = [{**layer.shapes(), **each} for layer, each in zip(layers, buffers, strict=True)]
    shapes = {f"{i}.{name}": shape for i, group in enumerate(known) for name, shape in group.items()}
    if set(shapes) != set(tensors):
        raise InputError("its weights do not match its layers")
    # Checked before the network is built: a file cannot request more memory than its weights occupy.
    for name, shape in shapes.items():
        if tensors[name].shape != shape or str(tensors[name].dtype) != description["dtype"]:
            raise InputError(
                f"{name} is {tensors[name].dtype} of shape {tensors[name].shape}, "
                f"not {description['dtype']} of shape {shape}"
            )
    shape = description.get("inputs")  # absent in old files, where Dense comes first
    return SavedNetwork(
        layers,
        loss,
        description["dtype"],
        key,
        key.at(description["step"]).step,
        None if shape is None else tuple(int(each) for each in shape),
        tensors,
    )


def _pack(value: Any, classes: Classes) -> dict[str, Any]:
    """Return a layer, loss or schedule as plain JSON: its class name and fields."""
    name = type(value).__name__
    if classes.known.get(name) is not type(value):
        raise InputError(
            f"Network.save: {name} is not a class of {classes.home}, so the file could not be loaded; "
            f"use a {classes.kind} of {classes.home}."
        )
    packed: dict[str, Any] = {"type": name}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.name == "pattern" and content is None:
            continue  # as in files from before layers had a pattern
        if isinstance(content, Layer):
            content = _pack(content, LAYERS)
        elif isinstance(content, Variant):
            content = _registered_name(content)
        elif callable(content):
            content = _pack(content, SCHEDULES)
        elif isinstance(content, tuple):
            each = cast("tuple[Any, ...]", content)
            content = [_pack(item, LAYERS) if isinstance(item, Layer) else item for item in each]
        packed[field.name] = content
    return packed


def _registered_name(variant: Variant) -> str:
    """Return the name of a variant of the catalogue."""
    if CATALOGUE.get(variant.name) != variant:
        raise InputError(
            f"Network.save: the variant {variant.name} is not in the catalogue, so the file could not be "
            "loaded; call thinnet.register(variant) first."
        )
    return variant.name


def _unpack(value: Any, classes: Classes) -> Any:
    """Return the object that `_pack` described; only the known classes are ever called."""
    fields = dict(value)
    name = fields.pop("type")
    if name not in classes.known:
        raise InputError(f"there is no {classes.kind} {name!r}")
    for key, content in fields.items():
        if isinstance(content, dict):
            inner = cast("dict[str, Any]", content)
            fields[key] = _unpack(inner, LAYERS if inner.get("type") in LAYERS.known else SCHEDULES)
        elif isinstance(content, list):
            each = cast("list[Any]", content)
            fields[key] = tuple(_unpack(item, LAYERS) if isinstance(item, dict) else item for item in each)
    return classes.known[name](**fields)
