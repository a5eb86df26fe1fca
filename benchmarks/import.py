"""`import thinnet` against `import numpy`, each in a fresh process, bytecode written beforehand.

The process reads its own clock around the import, so that what every Python needs to start is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys

from common import Clock, Pair, in_turn, keep, report

ROUNDS = 41
BUDGETS = {"import thinnet": 1.15, "from thinnet import dropout": None}


def fresh(statement: str) -> Clock:
    """Return a clock of one import; its first reading, which does not count, writes the bytecode."""
    code = f"import time; begun = time.perf_counter(); {statement}; print(time.perf_counter() - begun)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-P", "-c", code]

    def seconds() -> float:
        return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    return seconds


def main() -> None:
    results = {}
    for statement, budget in BUDGETS.items():
        pair = Pair(f"`{statement}`", "`import numpy`", fresh(statement), fresh("import numpy"), ROUNDS)
        results[statement.split()[-1]] = report(in_turn(pair, budget=budget))
    keep("import", results)


if __name__ == "__main__":
    main()
