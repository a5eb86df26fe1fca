"""Everything public is documented, by itself or by what it overrides."""

from __future__ import annotations

import importlib
import inspect

import pytest

from .test_exports import EXPORTS


@pytest.mark.parametrize("module", EXPORTS)
def test_public_classes_document_their_methods(module: str) -> None:
    home = importlib.import_module(module)
    classes = [thing for thing in vars(home).values() if inspect.isclass(thing)]
    undocumented = [
        f"{one.__name__}.{name}"
        for one in classes
        if one.__module__.startswith("thinnet")
        for name, member in vars(one).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
        if not (inspect.getdoc(getattr(one, name)) or "").strip()
    ]
    assert undocumented == []
