"""The stub of the compiled module states the signatures and the docstrings of its functions."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import thinnet
from thinnet._core import native

STUB = Path(thinnet.__file__).with_name("_native.pyi")

pytestmark = pytest.mark.skipif(native.compiled is None, reason=f"no compiled kernels: {native.why_not}")


def signatures(source: str) -> dict[str, tuple[str, str | None]]:
    """Return the arguments and result of each function of a stub, and its docstring."""
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {
        node.name: (
            f"({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else None}",
            ast.get_docstring(node),
        )
        for node in functions
    }


def test_the_stub_is_that_of_the_module() -> None:
    module = native.compiled
    found: dict[str, tuple[str, str | None]] = {}
    for name, function in vars(module).items():
        if not name.startswith("_"):
            (((signature, doc, _),)) = function.__nb_signature__
            ((_, (written, _)),) = signatures(f"{signature}: ...".replace("typing.Any", "Any")).items()
            found[name] = written, inspect.cleandoc(doc)
    assert signatures(STUB.read_text("utf-8")) == found, "run `make stub`"


def test_every_function_that_is_called_exists_and_has_a_docstring_and_names() -> None:
    written = signatures(STUB.read_text("utf-8"))
    assert set(written) == set(native._FUNCTIONS)
    for name, (signature, doc) in written.items():
        assert doc, name
        assert "arg0" not in signature, name
