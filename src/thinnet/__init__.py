"""thinnet: dropout you can reproduce, for NumPy, scikit-learn and PyTorch.

The functions, such as `dropout` and `drop`, act on NumPy arrays; a `Key` determines what they draw. The
namespaces are `net` (NumPy networks), `variants` and `schedules`, and with their extras `torch` (PyTorch
modules), `sklearn` (estimators) and `study` (the command `thinnet study` from Python). `import thinnet`
imports NumPy alone, and only at the first use of a name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinnet import errors, net, schedules, sklearn, study, torch, variants
    from thinnet._core.random import Key, Window, lanes
    from thinnet._core.threads import get_num_threads, set_num_threads
    from thinnet.errors import DataError, FileError, InputError, MissingPackage, RunError, ThinnetError
    from thinnet.variants import CATALOGUE, drop, dropout, mask, register
    from thinnet.variants._beyond.concrete import concrete_dropout, concrete_kl
    from thinnet.variants._beyond.cutout import cutout
    from thinnet.variants._beyond.dare import dare_merge
    from thinnet.variants._beyond.edges import drop_edges
    from thinnet.variants._beyond.heads import drop_head
    from thinnet.variants._beyond.maxpool import max_pool_dropout
    from thinnet.variants._beyond.multisample import multi_sample_dropout
    from thinnet.variants._beyond.neftune import neftune_noise
    from thinnet.variants._beyond.patch import patch_dropout
    from thinnet.variants._beyond.rdrop import r_drop
    from thinnet.variants._beyond.shakedrop import shake_drop
    from thinnet.variants._beyond.shakeout import shakeout
    from thinnet.variants._beyond.sparse import sparse_kl, sparse_prune
    from thinnet.variants._beyond.standout import standout
    from thinnet.variants._beyond.targeted import targeted_dropout
    from thinnet.variants._beyond.variational import local_noise, variational_dropout, variational_kl

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "DataError",
    "FileError",
    "InputError",
    "Key",
    "MissingPackage",
    "RunError",
    "ThinnetError",
    "Window",
    "concrete_dropout",
    "concrete_kl",
    "cutout",
    "dare_merge",
    "drop",
    "drop_edges",
    "drop_head",
    "dropout",
    "errors",
    "get_num_threads",
    "lanes",
    "local_noise",
    "mask",
    "max_pool_dropout",
    "multi_sample_dropout",
    "neftune_noise",
    "net",
    "patch_dropout",
    "r_drop",
    "register",
    "schedules",
    "set_num_threads",
    "shake_drop",
    "shakeout",
    "sklearn",
    "sparse_kl",
    "sparse_prune",
    "standout",
    "study",
    "targeted_dropout",
    "torch",
    "variants",
    "variational_dropout",
    "variational_kl",
]

# The module of each name. Names are imported at their first use, so `import thinnet` loads no other module.
_HOMES = {
    "thinnet": ("errors", "net", "schedules", "sklearn", "study", "torch", "variants"),
    "thinnet.errors": ("DataError", "FileError", "InputError", "MissingPackage", "RunError", "ThinnetError"),
    "thinnet._core.threads": ("get_num_threads", "set_num_threads"),
    "thinnet._core.random": ("Key", "Window", "lanes"),
    "thinnet.variants": ("CATALOGUE", "drop", "dropout", "mask", "register"),
    "thinnet.variants._beyond.concrete": ("concrete_dropout", "concrete_kl"),
    "thinnet.variants._beyond.cutout": ("cutout",),
    "thinnet.variants._beyond.dare": ("dare_merge",),
    "thinnet.variants._beyond.edges": ("drop_edges",),
    "thinnet.variants._beyond.heads": ("drop_head",),
    "thinnet.variants._beyond.maxpool": ("max_pool_dropout",),
    "thinnet.variants._beyond.multisample": ("multi_sample_dropout",),
    "thinnet.variants._beyond.neftune": ("neftune_noise",),
    "thinnet.variants._beyond.patch": ("patch_dropout",),
    "thinnet.variants._beyond.rdrop": ("r_drop",),
    "thinnet.variants._beyond.shakedrop": ("shake_drop",),
    "thinnet.variants._beyond.shakeout": ("shakeout",),
    "thinnet.variants._beyond.sparse": ("sparse_kl", "sparse_prune"),
    "thinnet.variants._beyond.standout": ("standout",),
    "thinnet.variants._beyond.targeted": ("targeted_dropout",),
    "thinnet.variants._beyond.variational": ("local_noise", "variational_dropout", "variational_kl"),
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
