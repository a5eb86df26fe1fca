"""The compiled kernels, if they were built, and the choice between them and NumPy.

`library` is the compiled module, or None while NumPy does the work; functions with a compiled kernel and a
NumPy definition choose by it, and both give the same bits. `compiled` is the module even while NumPy does the
work, so that backward can use the kernel that forward used.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator

from thinnet.errors import InputError

__all__ = ["NUMPY", "bodies", "name", "use", "using", "why_not"]

NUMPY = "numpy"
"""The name of the NumPy definitions among the bodies."""

# The functions that this version calls.
_FUNCTIONS = (
    *("bodies", "body", "use", "words", "fold", "lanes", "mask"),
    *("two_point", "two_point_rates", "two_point_at", "table"),
    *("dense_forward", "dense_backward", "update"),
)


# Without an annotation, so that the types of its functions are those of _native.pyi.
def _load():
    """Return the compiled module, or None and the reason for its absence."""
    if sys.byteorder != "little":
        return None, "the kernels are for little-endian machines"
    try:
        import thinnet._native as module
    except ModuleNotFoundError:
        return None, "not built: no working C++20 compiler when thinnet was installed"
    except ImportError as error:
        return None, f"does not load: {error}"
    if missing := [name for name in _FUNCTIONS if not hasattr(module, name)]:
        return None, f"built from another version of thinnet, without {', '.join(missing)}; install it again"
    return module, ""


compiled, why_not = _load()
library = compiled


def bodies() -> list[str]:
    """Return the instruction sets that this machine runs, best first; NumPy is always the last one."""
    return [*(compiled.bodies() if compiled else ()), NUMPY]


def name() -> str:
    """Return the name of the one of `bodies` in use."""
    return NUMPY if library is None else library.body()


def use(wanted: str, owner: str = "use") -> None:
    """Use another body from now on; the environment variable THINNET_ISA sets the first one.

    Raises
    ------
    InputError
        This machine does not run it.
    """
    global library  # noqa: PLW0603 - one for each process, read at every call
    if wanted not in bodies():
        raise InputError(f"{owner}: must be one of {', '.join(bodies())} on this machine, got {wanted!r}.")
    if wanted == NUMPY:
        library = None
    else:
        library = compiled
        if compiled is not None:
            compiled.use(wanted)


@contextlib.contextmanager
def using(wanted: str) -> Generator[None]:
    """Use another body inside a `with` block, in every thread of the process."""
    before = name()
    use(wanted)
    try:
        yield
    finally:
        use(before)


if os.environ.get("THINNET_ISA", "").strip():
    use(os.environ["THINNET_ISA"].strip().lower(), "THINNET_ISA")
