"""The error tree, and what to say when a package is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from thinnet import errors
from thinnet.errors import FileError, MissingPackage, ThinnetError, need


def test_the_tree_is_the_one_that_is_drawn() -> None:
    bases = {
        "ThinnetError": [Exception],
        "InputError": [ThinnetError, ValueError],
        "DataError": [errors.InputError],
        "RunError": [errors.InputError],
        "FileError": [ThinnetError, OSError],
        "MissingPackage": [ThinnetError, ImportError],
    }
    assert [*bases, "need"] == sorted(errors.__all__, key=[*bases, "need"].index)
    for name, expected in bases.items():
        assert list(getattr(errors, name).__bases__) == expected
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "need"])
def test_an_error_is_its_line(name: str) -> None:
    # OSError and ImportError have ways of their own to print themselves.
    error = getattr(errors, name)("model.bin: cannot be read.")
    assert str(error) == "model.bin: cannot be read."
    with pytest.raises(ThinnetError, match="cannot be read"):
        raise error
    assert str(FileError()) == ""


@pytest.mark.parametrize("module", ["safetensors", "safetensors.numpy"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    module: str, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    line = refusal(MissingPackage, need, module, extra="save", owner="Network.save")
    remedy = 'run: pip install "thinnet[save]"'
    assert line == f"Network.save: the package safetensors is not installed; {remedy}"


def test_a_package_that_does_not_exist(refusal: Callable[..., str]) -> None:
    line = refusal(MissingPackage, need, "thinnet_no_such.part", extra="study", owner="thinnet study")
    said = "the package thinnet_no_such is not installed"
    assert line == f'thinnet study: {said}; run: pip install "thinnet[study]"'


def test_a_package_that_lacks_another_names_the_other(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    (tmp_path / "thinnet_half.py").write_text("import thinnet_other_half.part\n")
    monkeypatch.syspath_prepend(tmp_path)
    line = refusal(MissingPackage, need, "thinnet_half", extra="study", owner="here")
    assert line.startswith("here: the package thinnet_other_half is not installed; ")


def test_a_package_that_is_there() -> None:
    assert need("json.decoder", extra="study", owner="here").JSONDecodeError is not None
