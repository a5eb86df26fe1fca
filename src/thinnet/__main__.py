"""The command `thinnet`; says what to install when the command line's packages are missing."""

from __future__ import annotations

import sys
from typing import Any

from thinnet.errors import MissingPackage, ThinnetError, need


def main() -> None:
    """Run the command line."""
    out: Any = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")  # a name that the terminal has no letters for
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        # Not at the top: this reads THINNET_ISA and THINNET_NUM_THREADS, whose values may be wrong.
        from thinnet._core import native
        from thinnet._core.threads import get_num_threads

        native.name()
        get_num_threads()
        need("typer", extra="study", owner="thinnet")
    except MissingPackage as error:
        return _info() if arguments == ["info"] else _fail(str(error))
    except ThinnetError as error:
        return _fail(str(error))
    from thinnet._cli import run

    return run(arguments)


def _info() -> int:
    """Answer `thinnet info` where nothing but the core is installed."""
    from thinnet._info import text

    print(text())
    return 0


def _fail(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
