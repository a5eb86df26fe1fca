"""Write the tables of docs/sklearn.md and the README: parameters of the estimators, and their test errors.

python tools/sklearn_tables.py

The parameters come from `thinnet.sklearn`, the errors from benchmarks/results/sklearn_errors.json.
"""

from __future__ import annotations

import json
from typing import Any

from marked import ROOT, write

from thinnet.sklearn import MLPClassifier, MLPRegressor
from thinnet.sklearn import _parameters as parameters

HEAD = "| test error, 10 seeds | scikit-learn | with dropout | change, 95 % interval |\n|---|---|---|---|"
NAMES = {"mnist": "MNIST, 10,000 digits", "digits": "digits", "breast_cancer": "breast_cancer"}


def errors() -> str:
    """Return the table of test errors with scikit-learn's estimators and with ours."""
    results = json.loads((ROOT / "benchmarks" / "results" / "sklearn_errors.json").read_text("utf-8"))
    return "\n".join([HEAD, *(row(title, results[name]) for name, title in NAMES.items())]) + "\n"


def row(title: str, result: dict[str, Any]) -> str:
    before, after = (f"{100 * result['mean'][side]:.2f} %" for side in ("before", "after"))
    mean, low, high = (f"{100 * result['difference'][part]:+.2f}" for part in ("mean", "low", "high"))
    return f"| {title} | {before} | {after} | {mean} ({low} to {high}) |"


def main() -> None:
    write("docs/sklearn.md", "parameters", parameters.markdown(MLPClassifier, MLPRegressor))
    for page in ("README.md", "docs/sklearn.md"):
        write(page, "errors", errors())


if __name__ == "__main__":
    main()
