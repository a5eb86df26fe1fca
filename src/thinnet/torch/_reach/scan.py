"""Which modules may call a dropout function: their bytecode is read, and that of the functions it names.

A name that cannot be resolved counts as a call if it is the name of a dropout function: a wrapper too many
costs a microsecond for each call of torch, a wrapper too few would leave a foreign dropout.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["Scan"]

_STDLIB = sys.stdlib_module_names
_USUAL = (nn.Module, torch.Tensor, dict, list, str, set)  # their methods call no function of the table
_UNSAFE = {"getattr", "globals", "eval", "exec"}  # they may reach a name that is not read here
_Chain = tuple[str, ...]


class _Found(NamedTuple):
    """What the code of a class does: whether it calls, and what depends on the instance.

    `own` holds chains of attributes of the instance, `others` names of methods of unknown objects.
    """

    calls: bool
    own: frozenset[_Chain]
    others: frozenset[str]


class Scan:
    """A search for functions of a table in the code of modules; it remembers each class.

    Parameters
    ----------
    functions : iterable of functions
        The functions to find.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self.functions = frozenset(functions)
        self.names = frozenset(function.__name__ for function in self.functions)
        self._classes: dict[type, _Found] = {}
        self._direct: dict[type, _Found | None] = {}

    def may_call(self, module: nn.Module, kinds: Iterable[type] = ()) -> bool:
        """Return whether the forward of a module may call one of the functions.

        Parameters
        ----------
        module : Module
            The module; its children are modules of their own.
        kinds : iterable of classes
            The classes of its model's modules, whose methods it may call.
        """
        kind = type(module)
        forward = vars(module).get("forward")
        if forward is not None:
            found = _Reader(self, kind).read([forward, getattr(kind, "forward", None)])
        else:
            if kind not in self._classes:
                self._classes[kind] = _Reader(self, kind).read([getattr(kind, "forward", None)])
            found = self._classes[kind]
        return found.calls or self._instance_calls(module, found, kinds)

    def is_direct(self, module: nn.Module, kinds: Iterable[type] = ()) -> bool:
        """Return whether all calls that a module may make are those that its forward names by globals."""
        kind = type(module)
        if "forward" in vars(module) or not isinstance(kind.forward, types.FunctionType):
            return False
        if kind not in self._direct:
            reader = _Reader(self, kind, kind.forward)
            self._direct[kind] = None
            codes = list(_codes(kind.forward.__code__))
            plain = all(_UNSAFE.isdisjoint(code.co_names) and not _writes_globals(code) for code in codes)
            if plain and not hasattr(kind.forward, "__wrapped__"):
                found = reader.read([kind.forward])
                self._direct[kind] = found if reader.spared_calls and not found.calls else None
        found = self._direct[kind]
        return found is not None and not self._instance_calls(module, found, kinds)

    def _instance_calls(self, module: nn.Module, found: _Found, kinds: Iterable[type]) -> bool:
        """Follow what the class alone leaves open: attributes of the instance, methods of other modules."""
        for chain in found.own:
            value: Any = module
            for i, name in enumerate(chain):
                owner, value = value, getattr(value, name, None)
                method = isinstance(value, types.MethodType) and isinstance(owner, nn.Module) and i
                if method and _Reader(self, type(owner)).read([value]).calls:
                    return True
            if _is_code(value) and _Reader(self, object).read([value]).calls:
                return True
        others = [kind for kind in kinds if kind is not type(module)] if found.others else []
        methods = ((kind, getattr(kind, name, None)) for kind in others for name in found.others)
        return any(
            isinstance(method, types.FunctionType)
            and _foreign(method.__module__)
            and _Reader(self, kind).read([method]).calls
            for kind, method in methods
        )


def _foreign(name: Any) -> bool:
    """Return whether the code of a Python module is read: neither torch's nor thinnet's nor Python's."""
    package = str(name).partition(".")[0]
    return package not in ("torch", "thinnet", "numpy") and (package == "__main__" or package not in _STDLIB)


class _Reader:
    """One search, which reads each code once. `kind` is the class of the first argument of a method.

    Calls that the function `spared` names by globals are noted apart.
    """

    def __init__(self, scan: Scan, kind: type, spared: Any = None) -> None:
        self.scan, self.kind, self.spared = scan, kind, spared
        self.spared_calls = False
        self.seen: set[Any] = set()
        self.calls = False
        self.own: set[_Chain] = set()
        self.others: set[str] = set()

    def read(self, starts: list[Any]) -> _Found:
        """Read functions and those that they name."""
        todo: list[tuple[Any, type]] = [(start, self.kind) for start in starts]
        while todo and not self.calls:
            value, kind = todo.pop()
            todo += [(each, kind if owner is None else owner) for each, owner in self._parts(value, kind)]
        return _Found(self.calls, frozenset(self.own), frozenset(self.others))

    def _parts(self, value: Any, kind: type) -> Iterator[tuple[Any, type | None]]:
        """Yield the objects that a value refers to, each with the class of its `self` where that changes."""
        if self._is_function(value) or value is torch.nn.functional:
            self.calls = True
        elif isinstance(value, functools.partial):
            yield from ((each, None) for each in (value.func, *value.args, *value.keywords.values()))
        elif isinstance(value, (staticmethod, classmethod)):
            yield value.__func__, None
        elif isinstance(value, types.MethodType):
            yield value.__func__, value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
        elif isinstance(value, property):
            yield value.fget, None
        elif isinstance(value, functools.cached_property):
            yield value.func, None
        elif isinstance(value, types.FunctionType):
            yield from self._of_function(value, kind)
        elif isinstance(value, type):
            yield from self._of_class(value)
        elif isinstance(value, Mapping) and id(value) not in self.seen:
            self.seen.add(id(value))
            yield from ((each, None) for each in list(value.values()) if _is_code(each))
        elif _is_code(value) and _foreign(type(value).__module__):
            yield type(value).__call__, type(value)

    def _is_function(self, value: Any) -> bool:
        try:
            return value in self.scan.functions
        except TypeError:
            return False

    def _of_class(self, kind: type) -> Iterator[tuple[Any, type | None]]:
        """Yield what a call of a class and of its instances runs: forward, or __init__ and __call__."""
        if issubclass(kind, nn.Module):
            yield getattr(kind, "forward", None), kind
        elif _foreign(kind.__module__):
            for name in ("__init__", "__call__", "forward"):
                yield getattr(kind, name, None), kind

    def _of_function(self, function: types.FunctionType, kind: type) -> Iterator[tuple[Any, type | None]]:
        code, module = function.__code__, str(function.__module__)
        # torch's own code is read where a class inherits it from torch's modules.
        if (code, kind) in self.seen or not (_foreign(module) or module.startswith("torch.nn.modules.")):
            return
        self.seen.add((code, kind))
        cells: dict[str, Any] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                cells[name] = cell.cell_contents
            except ValueError:
                continue
        yield from ((each, None) for each in cells.values() if _is_code(each))
        yield getattr(function, "__wrapped__", None), None
        myself = code.co_varnames[0] if code.co_argcount and _is_method(kind, function) else None
        names = ChainMap(cells, function.__globals__)
        for each in _codes(code):
            yield from self._of_code(each, names, kind, myself, function is self.spared)

    def _of_code(
        self, code: types.CodeType, names: ChainMap[str, Any], kind: type, myself: str | None, spared: bool
    ) -> Iterator[tuple[Any, type | None]]:
        if "super" in code.co_names or "__class__" in code.co_freevars:
            for base in kind.__mro__:
                yield from ((vars(base)[name], None) for name in code.co_names if _follows(base, name))
        if "getattr" in code.co_names:
            self.calls |= any(const in self.scan.names for const in code.co_consts if isinstance(const, str))
            if myself is not None:  # self's own methods, by names that are computed
                yield from ((vars(kind)[name], None) for name in vars(kind) if _follows(kind, name))
        named = {"isinstance", "issubclass"}.isdisjoint(code.co_names)
        for start, chain, called in _loads(code):
            if start is None:
                self._of_unknown(chain, called)
            elif start == myself:
                yield from self._of_self(kind, chain)
            elif spared and start in names.maps[1] and self._is_named_by_torch(names.maps[1][start], chain):
                self.spared_calls = True
            elif start in names:
                yield from self._of_known(names[start], chain, called, named)
            else:
                self._of_unknown(chain, called)

    def _is_named_by_torch(self, value: Any, chain: _Chain) -> bool:
        """Return whether a global and its attributes are a function of the table, by modules of torch."""
        for name in chain:
            if not any(value is module for module in (torch, nn, nn.functional)):
                return False
            value = getattr(value, name, None)
        return self._is_function(value)

    def _of_unknown(self, chain: _Chain, called: bool) -> None:
        self.calls |= not self.scan.names.isdisjoint(chain)
        if called and chain and not any(hasattr(kind, chain[-1]) for kind in _USUAL):
            self.others.add(chain[-1])

    def _of_known(
        self, value: Any, chain: _Chain, called: bool, named: bool
    ) -> Iterator[tuple[Any, type | None]]:
        for i, name in enumerate(chain):
            if isinstance(value, nn.Module) or not hasattr(value, name):
                return self._of_unknown(chain[i:], called)
            owner, value = value, getattr(value, name)
            if not isinstance(owner, (type, types.ModuleType)) and isinstance(value, types.MethodType):
                break
        if called or named or not isinstance(value, type):  # isinstance(x, nn.Dropout) calls nothing
            yield value, None

    def _of_self(self, kind: type, chain: _Chain) -> Iterator[tuple[Any, type | None]]:
        if not chain:
            return
        for base in kind.__mro__:
            if chain[0] in vars(base):
                if base is not nn.Module and base is not object:
                    yield vars(base)[chain[0]], None
                if isinstance(vars(base)[chain[0]], property) and len(chain) > 1:
                    self._of_unknown(chain[1:], True)
                return
        if issubclass(kind, nn.Module):
            self.own.add(chain)


def _is_code(value: Any) -> bool:
    return callable(value) and not isinstance(value, (type, nn.Module))


def _is_method(kind: type, function: types.FunctionType) -> bool:
    return kind is not object and any(function.__name__ in vars(base) for base in kind.__mro__)


def _follows(base: type, name: str) -> bool:
    """Return whether a class defines a method that is no constructor: it runs in a forward of the class."""
    method = vars(base).get(name)
    return base not in (nn.Module, object) and name != "__init__" and isinstance(method, types.FunctionType)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code and those of the functions that are defined in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _codes(const)


def _writes_globals(code: types.CodeType) -> bool:
    return any(step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for step in dis.get_instructions(code))


@functools.lru_cache(maxsize=4096)
def _loads(code: types.CodeType) -> tuple[tuple[str | None, _Chain, bool], ...]:
    return tuple(_chains(code))


_LOADS = "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FAST"


def _chains(code: types.CodeType) -> Iterator[tuple[str | None, _Chain, bool]]:
    """Yield the names that a code loads, the attributes that are read from each, and whether it is called.

    `F.dropout(x)` is ("F", ("dropout",), True); an attribute of a result is (None, (name, …), …).
    """
    start: str | None = None
    chain: list[str] = []
    known = called = False
    first = code.co_varnames[: min(code.co_argcount, 1)]
    for instruction in dis.get_instructions(code):
        name, value = instruction.opname, instruction.argval
        if name.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM")):
            if not known:
                start, chain, known = None, [], True
            chain.append(str(value))
            called = name == "LOAD_METHOD" or "NULL" in instruction.argrepr
        elif name == "PUSH_NULL":
            called = True
        elif name not in ("CACHE", "EXTENDED_ARG", "NOP"):
            if known:
                yield start, tuple(chain), called
            known = name.startswith(
                ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FAST")
            )
            if known:
                start, chain = (value[-1] if isinstance(value, tuple) else value), []
                if (
                    name.startswith("LOAD_FAST") and start not in first
                ):  # any object, whatever globals there are
                    start = None
                called = "NULL" in instruction.argrepr
    if known:
        yield start, tuple(chain), called
