"""The packages of the extra `study`, and the error when one of them is missing."""

from __future__ import annotations

from thinnet.errors import need

__all__ = ["need_packages"]

_PACKAGES = (
    *("pandas", "pyarrow", "sklearn", "threadpoolctl", "optuna"),
    *("jinja2", "matplotlib", "safetensors", "rich", "filelock"),
)


def need_packages(owner: str) -> None:
    """Import every package that a study needs, before it starts.

    Parameters
    ----------
    owner : str
        The command or function that needs them; the message begins with it.

    Raises
    ------
    MissingPackage
        A package is not installed; the message gives the command that installs it.
    """
    for module in _PACKAGES:
        need(module, extra="study", owner=owner)
