"""What every test shares: one Hypothesis profile, the known answers, and how a refusal has to look."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from thinnet.errors import ThinnetError

# Derandomized: a failure on one machine is a failure on every machine.
settings.register_profile("thinnet", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("thinnet")

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Return a reader of tests/vectors/NAME.json."""
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Return a function that makes a call, expects a refusal of one line, and returns that line."""

    def line(kind: type[ThinnetError], call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        with pytest.raises(ThinnetError) as caught:
            call(*arguments, **options)
        assert isinstance(caught.value, kind)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return line
