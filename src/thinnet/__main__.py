"""The command `thinnet`."""

from __future__ import annotations

import sys
from typing import Any

from thinnet.errors import ThinnetError

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    out: Any = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")  # for letters that the terminal's encoding lacks
    sys.exit(_run(sys.argv[1:]))


def _run(words: list[str]) -> int:
    try:
        # Not at the top: this reads THINNET_ISA and THINNET_NUM_THREADS, whose values may be wrong.
        from thinnet._core import native
        from thinnet._core.threads import get_num_threads

        native.name()
        get_num_threads()
    except ThinnetError as error:
        print(error, file=sys.stderr)
        return 2
    from thinnet._cli import run

    return run(words)


if __name__ == "__main__":
    main()
