"""Floor 0: the compiled kernels where they were built, and the threads they run on.

`library` is the compiled module, or None where NumPy does the work; whoever has both a fast path and a
slow twin looks here which one to take. The two give the same bits. `compiled` is the module even while
NumPy does the work: what was begun with it can be ended with it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Generator
from typing import Any

from thinnet.errors import InputError

__all__ = ["NUMPY", "bodies", "name", "use", "using", "why_not"]

NUMPY = "numpy"
"""The name under which `use` knows the NumPy twin."""


def _load() -> tuple[Any, str]:
    """Return the compiled module, or None and why there is none."""
    if sys.byteorder != "little":
        return None, "the kernels are for little-endian machines"
    try:
        return importlib.import_module("thinnet._native"), ""
    except ModuleNotFoundError:
        return None, "not built: no working C++20 compiler when thinnet was installed"
    except ImportError as error:
        return None, f"does not load: {error}"


compiled, why_not = _load()
library: Any = compiled


def bodies() -> list[str]:
    """Return what this machine can run, best first; the NumPy twin is always last."""
    return [*(compiled.bodies() if compiled else ()), NUMPY]


def name() -> str:
    """Return which of `bodies` is in use."""
    return NUMPY if library is None else library.body()


def use(wanted: str, owner: str = "use") -> None:
    """Run on another body from now on; the environment variable THINNET_ISA does so from the start.

    Raises
    ------
    InputError
        This machine does not have it.
    """
    global library  # noqa: PLW0603 - one per process; kernels look here at every call
    if wanted not in bodies():
        raise InputError(f"{owner}: must be one of {', '.join(bodies())} on this machine, got {wanted!r}.")
    if wanted == NUMPY:
        library = None
    else:
        library = compiled
        library.use(wanted)


@contextlib.contextmanager
def using(wanted: str) -> Generator[None]:
    """Run on another body for the length of a `with` block; for every thread of the process."""
    before = name()
    use(wanted)
    try:
        yield
    finally:
        use(before)


if os.environ.get("THINNET_ISA", "").strip():
    use(os.environ["THINNET_ISA"].strip().lower(), "THINNET_ISA")
