"""The command `thinnet`; says what to install when the command line's packages are missing."""

from __future__ import annotations

import sys
from typing import Any

from thinnet.errors import MissingPackage, need


def main() -> None:
    """Run the command line."""
    out: Any = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")  # a name that the terminal has no letters for
    try:
        need("typer", extra="study", owner="thinnet")
    except MissingPackage as error:
        sys.exit(_fail(str(error)))
    from thinnet.cli import run

    sys.exit(run(sys.argv[1:]))


def _fail(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
