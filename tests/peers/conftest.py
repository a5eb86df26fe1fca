"""What torch installs for its own tests, imported so that the rest of the process does not notice."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from hypothesis import settings

NAMES = {
    "utils": "common_utils",
    "modules": "common_modules",
    "nn": "common_nn",
    "operators": "common_methods_invocations",
    "composite": "composite_compliance",
    "opinfo": "opinfo.core",
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors wait for one another's threads longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def torchs() -> SimpleNamespace:
    """Return torch's helpers; here and not above, as they take seconds and not every test asks."""
    # Trainers like to set the flags of backends, which these would lock; what others deprecate while they are
    # imported is their affair.
    with (
        warnings.catch_warnings(),
        mock.patch.dict(os.environ),
        mock.patch.object(torch.backends, "disable_global_flags"),
    ):
        warnings.simplefilter("ignore")
        found = {name: importlib.import_module(f"torch.testing._internal.{of}") for name, of in NAMES.items()}
    settings.load_profile("thinnet")  # they load one of their own
    return SimpleNamespace(**found)
