"""Everything public is documented here: a docstring that PyTorch or Python wrote does not count."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .test_exports import EXPORTS

NAMESPACES = list(EXPORTS)
HOOKS = {"extra_repr"}
"""Methods that PyTorch calls and documents."""


def public(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes of a namespace."""
    home = importlib.import_module(module)
    for name in home.__all__:
        thing = getattr(home, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield name, thing


def members(one: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods and properties that a class defines itself."""
    for name, member in vars(one).items():
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
            yield name, member


def own_docstring(one: type, name: str) -> str:
    """Return the docstring of a member, or that of the nearest class of thinnet which it overrides."""
    for base in one.__mro__:
        if name in vars(base) and base.__module__.startswith("thinnet"):
            docstring = (getattr(vars(base)[name], "__doc__", None) or "").strip()
            if docstring:
                return docstring
    return ""


@pytest.mark.parametrize("module", NAMESPACES)
def test_functions_and_classes_are_documented(module: str) -> None:
    for name, thing in public(module):
        docstring = (vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__) or ""
        assert docstring.strip(), f"{module}.{name}"
        # The docstring that a dataclass makes of its fields.
        assert not docstring.startswith(f"{name}("), f"{module}.{name}"


@pytest.mark.parametrize("module", NAMESPACES)
def test_methods_are_documented_here(module: str) -> None:
    undocumented = [
        f"{name}.{member}"
        for name, thing in public(module)
        if inspect.isclass(thing) and thing.__module__.startswith("thinnet")
        for member, _ in members(thing)
        if member not in HOOKS and not own_docstring(thing, member)
    ]
    assert undocumented == []


def test_a_docstring_of_another_library_does_not_count() -> None:
    class Undocumented(dict[str, int]):
        def copy(self) -> dict[str, int]:
            return dict(self)

    Undocumented.__module__ = "thinnet.example"
    assert dict.copy.__doc__  # which a reader of help(Undocumented) is shown
    assert own_docstring(Undocumented, "copy") == ""


@pytest.mark.parametrize("module", NAMESPACES)
def test_a_docstring_lists_the_parameters_that_there_are(module: str) -> None:
    for name, thing in public(module):
        listed = documented_parameters(inspect.getdoc(thing) or "")
        if not listed:
            continue
        found = {parameter.lstrip("*") for parameter in inspect.signature(thing).parameters}
        assert listed <= found, f"{module}.{name} documents {sorted(listed - found)}"


def documented_parameters(docstring: str) -> set[str]:
    """Return the names in the section Parameters of a docstring."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", docstring, re.M | re.S)
    if section is None:
        return set()
    heads = re.findall(r"^([*\w][*\w, ]*) : ", section[1], re.M)
    return {word.strip().lstrip("*") for head in heads for word in head.split(",")}
