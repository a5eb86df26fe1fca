"""Whether dropout helps on a table, how much of it, and where: `thinnet study` from Python.

`study` runs a study with some `Options`, `predict` applies its network to new rows. `split` and
`TablePreparation` are a study's split and treatment of columns, for scikit-learn's pipelines.

Examples
--------
>>> import thinnet as tn
>>> results = tn.study.study("houses.csv", target="price", out="runs/houses")  # doctest: +SKIP
>>> tn.study.predict("runs/houses", "new.csv")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thinnet import errors

if TYPE_CHECKING:
    from thinnet.study._options import Options
    from thinnet.study._predict import predict
    from thinnet.study._run import study
    from thinnet.study._tables.pipeline import TablePreparation, split

__all__ = ["Options", "TablePreparation", "predict", "split", "study"]

# Each name is imported when it is first used, so one of them does not load what the others need.
_HOMES = {
    "Options": "_options",
    "TablePreparation": "_tables.pipeline",
    "predict": "_predict",
    "split": "_tables.pipeline",
    "study": "_run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'thinnet.study' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"thinnet.study.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "thinnet":
            raise
        remedy = 'run: pip install "thinnet[study]"'
        raise errors.MissingPackage(
            f"thinnet.study: the package {package} is not installed; {remedy}"
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
