"""thinnet: dropout for NumPy, and one command that tells whether it helps on your data.

`dropout` and `drop` apply a variant of the catalogue to an array, `net` trains NumPy networks with
them, and `python -m thinnet study` runs a study on a table. All of it needs NumPy alone, but the study.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinnet import net, variants
    from thinnet.errors import DataError, FileError, InputError, MissingPackage, RunError, ThinnetError
    from thinnet.native.threads import get_num_threads, set_num_threads
    from thinnet.random import Key, Stream, Window, lanes
    from thinnet.variants import CATALOGUE, drop, dropout, mask

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "DataError",
    "FileError",
    "InputError",
    "Key",
    "MissingPackage",
    "RunError",
    "Stream",
    "ThinnetError",
    "Window",
    "drop",
    "dropout",
    "get_num_threads",
    "lanes",
    "mask",
    "net",
    "set_num_threads",
    "variants",
]

# Where each name lives. A name is imported when it is first asked for, so that `import thinnet` is not felt.
_HOMES = {
    "thinnet": ("net", "variants"),
    "thinnet.errors": ("DataError", "FileError", "InputError", "MissingPackage", "RunError", "ThinnetError"),
    "thinnet.native.threads": ("get_num_threads", "set_num_threads"),
    "thinnet.random": ("Key", "Stream", "Window", "lanes"),
    "thinnet.variants": ("CATALOGUE", "drop", "dropout", "mask"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'thinnet' has no attribute {name!r}")
    value = (
        importlib.import_module(f"thinnet.{name}")
        if home == "thinnet"
        else getattr(importlib.import_module(home), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
