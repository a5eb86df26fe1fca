"""Everything that thinnet raises on purpose.

::

    ThinnetError
    ├── InputError      (ValueError)   an argument is not usable: owner, requirement, value
    │   ├── DataError                  a table, a column or a cell is not usable
    │   └── RunError                   a run folder does not fit the request
    ├── FileError       (OSError)      a file cannot be read or written
    └── MissingPackage  (ImportError)  an optional package is not installed

Each carries one line: its owner, the name, the value and the remedy. The command line prints
that line and ends with exit code 2.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["DataError", "FileError", "InputError", "MissingPackage", "RunError", "ThinnetError", "need"]


class ThinnetError(Exception):
    """Base of every error raised on purpose."""


class InputError(ThinnetError, ValueError):
    """An argument is outside what its owner accepts."""


class DataError(InputError):
    """A table, a column or a cell cannot be used."""


class RunError(InputError):
    """A run folder does not fit the request."""


class FileError(ThinnetError, OSError):
    """A file cannot be read or written."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingPackage(ThinnetError, ImportError):  # noqa: N818 - the name states the cause
    """An optional package is not installed."""


def need(module: str, *, extra: str, owner: str) -> ModuleType:
    """Import an optional module, or raise an error that names its extra.

    Parameters
    ----------
    module : str
        Import name, ``"safetensors.numpy"`` for instance.
    extra : str
        The extra of thinnet that installs it.
    owner : str
        The name that needs the module; the message begins with it.

    Raises
    ------
    MissingPackage
        The module cannot be imported.

    Examples
    --------
    >>> need("math", extra="study", owner="here").floor(2.5)
    2
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != package:
            package = error.name
        raise MissingPackage(
            f'{owner}: the package {package} is not installed; run: pip install "thinnet[{extra}]"'
        ) from error
