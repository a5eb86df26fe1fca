"""What every test shares: one Hypothesis profile, the known answers, and how a refusal has to look."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Tests run in several processes, and threads of BLAS in each wait for one another: a check of lbfgs took
# 105 seconds instead of 7. The variable has to be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

import thinnet as tn
from thinnet.errors import ThinnetError
from thinnet.variants._variant import PASSED

# Derandomized: a failure on one machine is a failure on every machine.
settings.register_profile("thinnet", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("thinnet")

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Return a reader of tests/vectors/NAME.json."""
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def example() -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Return a function that makes an array for a row of the catalogue, and what `drop` is handed."""

    def make(name: str, entries: int) -> tuple[Any, dict[str, Any]]:
        row = tn.CATALOGUE[name]
        axes = sum(2 if "..." in word else 1 for word in row.pattern.split())
        shape = (round(entries ** (1 / axes)),) * axes
        x, other = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
        return x, {"other": other} if row.other in PASSED else {}

    return make


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
