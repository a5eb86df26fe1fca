"""Classes of two bases, thinnet's and another package's, for modules that `replace` changes in place."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["class_of_both"]

_BASES = "_bases_of_both"  # an attribute of the class


@functools.cache
def class_of_both(ours: type, theirs: type, rate: str) -> type:
    """Return a class that draws as ours and is still an instance of theirs.

    Its forward is that of ours. Its name, its repr and the attribute that holds the rate are those of theirs.
    The same class is returned for the same arguments, so that modules of one kind share it.

    Parameters
    ----------
    ours : type
        A module of thinnet with the rate `p`.
    theirs : type
        A module of another package.
    rate : str
        The attribute of theirs that holds the rate; it reads and sets `p`.

    Examples
    --------
    >>> from torch import nn
    >>> from thinnet.torch import DropPath
    >>> class Theirs(nn.Module):
    ...     def extra_repr(self):
    ...         return f"drop_prob={self.drop_prob}"
    >>> module = Theirs()
    >>> module.p, module.__class__ = 0.5, class_of_both(DropPath, Theirs, "drop_prob")
    >>> module.drop_prob = 0.25
    >>> module, module.p, isinstance(module, DropPath)
    (Theirs(drop_prob=0.25), 0.25, True)
    """
    if issubclass(ours, theirs):
        return ours
    body: dict[str, Any] = {
        "__doc__": theirs.__doc__,
        "__module__": ours.__module__,
        "__qualname__": theirs.__qualname__,
        "__reduce_ex__": _reduce,
        _BASES: (ours, theirs, rate),
    }
    if rate != "p":
        body[rate] = property(_rate, _set_rate, doc="The rate, `p`.")
    for name in ("extra_repr", "__repr__"):
        if getattr(theirs, name) is not getattr(_module(theirs), name):
            body[name] = getattr(theirs, name)
    return type(theirs)(theirs.__name__, (ours, theirs), body)


def _module(kind: type) -> type:
    """Return torch.nn.Module, the last base of a module before object."""
    return kind.__mro__[-2]


def _rate(module: Any) -> float:
    return module.p


def _set_rate(module: Any, p: Any) -> None:
    module.p = 0.0 if p is None else p


def _reduce(module: Any, protocol: Any) -> tuple[Any, ...]:
    """Pickle and copy by the two bases: no import finds the class of both."""
    return _empty, getattr(type(module), _BASES), module.__getstate__()


def _empty(ours: type, theirs: type, rate: str) -> Any:
    """Return a module without attributes."""
    kind: Any = class_of_both(ours, theirs, rate)
    return kind.__new__(kind)
