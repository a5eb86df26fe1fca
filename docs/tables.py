"""Write the tables of the documentation from where they come from: parameters, and benchmarks/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thinnet.sklearn import MLPClassifier, MLPRegressor
from thinnet.sklearn import _parameters as parameters

ROOT = Path(__file__).parent.parent
HEAD = "| test error, 10 seeds | scikit-learn | with dropout | change, 95 % interval |\n|---|---|---|---|"
NAMES = {"mnist": "MNIST, 10,000 digits", "digits": "digits", "breast_cancer": "breast_cancer"}


def errors() -> str:
    """Return the table of what a change of the import does."""
    results = json.loads((ROOT / "benchmarks" / "results" / "sklearn_errors.json").read_text("utf-8"))
    return "\n".join([HEAD, *(row(title, results[name]) for name, title in NAMES.items())]) + "\n"


def row(title: str, result: dict[str, Any]) -> str:
    before, after = (f"{100 * result['mean'][side]:.2f} %" for side in ("before", "after"))
    mean, low, high = (f"{100 * result['difference'][part]:+.2f}" for part in ("mean", "low", "high"))
    return f"| {title} | {before} | {after} | {mean} ({low} to {high}) |"


def write(page: str, name: str, table: str) -> None:
    """Put a table between the markers of its name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    path = ROOT / page
    before, rest = path.read_text("utf-8").split(begin)
    path.write_text(f"{before}{begin}{table}{end}{rest.split(end)[1]}", "utf-8")


def main() -> None:
    write("docs/sklearn.md", "parameters", parameters.markdown(MLPClassifier, MLPRegressor))
    for page in ("README.md", "docs/sklearn.md"):
        write(page, "errors", errors())


if __name__ == "__main__":
    main()
