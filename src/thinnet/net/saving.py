"""Networks on disk: a safetensors file of weights, with JSON beside them. Loading runs no code.

The metadata entry `thinnet` is a JSON object: `format`, `layers`, `loss`, `dtype`, `key`, `step`, and
`extra`, which belongs to whoever saved the network.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np

from thinnet import files
from thinnet.errors import FileError, InputError, need
from thinnet.net import layers as layer_module
from thinnet.net import losses as loss_module
from thinnet.net.network import Network
from thinnet.random import Key
from thinnet.variants import schedule as schedule_module

__all__ = ["load", "save"]

_FORMAT = "thinnet.network/1"


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
        "layers": [_pack(layer, layer_module) for layer in network.layers],
        "loss": _pack(network.loss.plain, loss_module),
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
    layers = [_unpack(value, layer_module, layer_module.Layer) for value in description["layers"]]
    loss = _unpack(description["loss"], loss_module, loss_module.Loss)
    key = Key(*description["key"])
    shapes = {
        f"{i}.{name}": shape for i, layer in enumerate(layers) for name, shape in layer.shapes().items()
    }
    if set(shapes) != set(tensors):
        raise InputError("its weights do not belong to its layers")
    # Before the network is made: a file cannot ask for more memory than it brings weights.
    for name, shape in shapes.items():
        if tensors[name].shape != shape or str(tensors[name].dtype) != description["dtype"]:
            raise InputError(
                f"{name} is {tensors[name].dtype} of shape {tensors[name].shape}, "
                f"not {description['dtype']} of shape {shape}"
            )
    network = Network(layers, key=key, loss=loss, dtype=description["dtype"])
    network.step = key.at(description["step"]).step
    for i, group in enumerate(network.weights):
        for name, place in group.items():
            place[...] = tensors[f"{i}.{name}"]
    return network


def _pack(value: Any, module: Any) -> dict[str, Any]:
    """Return a layer, loss or schedule as plain JSON: its class name and fields."""
    if getattr(module, type(value).__name__, None) is not type(value):
        raise InputError(
            f"Network.save: {type(value).__name__} is not a class of {module.__name__}, "
            f"so the file could not be loaded; use one of those."
        )
    fields: dict[str, Any] = {"type": type(value).__name__}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if callable(content):
            content = _pack(content, schedule_module)
        fields[field.name] = content
    return fields


def _unpack(value: Any, module: Any, base: type) -> Any:
    """Return what `_pack` described: only classes of `module` under `base` are ever made."""
    fields = dict(value)
    name = fields.pop("type")
    made = getattr(module, name, None) if name in module.__all__ else None
    if not (isinstance(made, type) and issubclass(made, base) and made is not base):
        raise InputError(f"there is no {base.__name__.lower()} {name!r}")
    for key, content in fields.items():
        if isinstance(content, dict):
            fields[key] = _unpack(cast("dict[str, Any]", content), schedule_module, object)
    return made(**fields)
