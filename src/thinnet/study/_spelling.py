"""How a message spells an option: as Python's argument, or as a flag of the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar

__all__ = ["as_flags", "spell_option"]

_FLAGS: ContextVar[bool] = ContextVar("thinnet.study.flags", default=False)

# Options that a table may have several of are singular as flags, since each flag names one.
_SINGULAR = {"categories": "category"}
_LISTS = frozenset({"categories", "drop", "missing", "variants"})


@contextlib.contextmanager
def as_flags() -> Generator[None]:
    """Spell options as flags within the block, as the command line does.

    Examples
    --------
    >>> with as_flags():
    ...     print(spell_option("time_budget"), spell_option("missing", '"n/a"'))
    --time-budget --missing "n/a"
    """
    token = _FLAGS.set(True)
    try:
        yield
    finally:
        _FLAGS.reset(token)


def spell_option(name: str, value: str | None = None) -> str:
    """Return an option of a study as its user writes it, with or without a value.

    Parameters
    ----------
    name : str
        A field of `Options`.
    value : str, optional
        Its value, perhaps quoted already; one item for an option that is a list.

    Examples
    --------
    >>> print(spell_option("time_budget"), spell_option("task", "regression"), spell_option("drop", '"id"'))
    time_budget task="regression" drop=["id"]
    """
    if _FLAGS.get():
        flag = f"--{_SINGULAR.get(name, name).replace('_', '-')}"
        return flag if value is None else f"{flag} {value}"
    if value is None:
        return name
    literal = value if value.startswith(('"', "{")) else f'"{value}"'
    return f"{name}=[{literal}]" if name in _LISTS else f"{name}={literal}"
