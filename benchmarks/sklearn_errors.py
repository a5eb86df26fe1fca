"""Test error of one network with scikit-learn's MLP and, after a change of the import, with dropout.

`MLPClassifier((512, 512))` with all its defaults, against the same with `dropout=0.5, input_dropout=0.2`: the
rates of Hinton et al. (arXiv:1207.0580), nothing tuned. Ten seeds. digits and breast_cancer are split anew
for each seed; their intervals allow for training sets that overlap (Nadeau, Bengio: Inference for the
generalization error. Machine Learning 52, 2003, section 3). MNIST: its first 10,000 training digits, and all
10,000 test digits; there the interval is over seeds alone. `--mnist FOLDER` names the folder of the idx files
(train-images-idx3-ubyte.gz and so on, or train10k-… if it holds no more); without it the last result is kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.neural_network
from common import RESULTS, digits, keep
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

import thinnet.sklearn
from thinnet._statistics import t_interval

SEEDS, HIDDEN, TEST = 10, (512, 512), 0.2
RATES = {"dropout": 0.5, "input_dropout": 0.2}

Array = NDArray[Any]
Split = tuple[Array, Array, Array, Array]


def images(folder: Path, part: str) -> tuple[Array, Array]:
    """Return images, (n, 784) float32 in [0, 1], and classes, from idx files."""
    read = {}
    for kind, offset in (("images-idx3", 16), ("labels-idx1", 8)):
        data = gzip.decompress((folder / f"{part}-{kind}-ubyte.gz").read_bytes())
        read[kind] = np.frombuffer(data, np.uint8, offset=offset)
    return read["images-idx3"].reshape(-1, 784).astype(np.float32) / 255, read["labels-idx1"]


def error(kind: Any, scale: Any, split: Split, seed: int, **rates: float) -> float:
    x, x_test, y, y_test = split
    model = make_pipeline(scale, FunctionTransformer(np.float32), kind(HIDDEN, random_state=seed, **rates))
    return float(1 - model.fit(x, y).score(x_test, y_test))


def compare(name: str, scale: Any, splits: list[Split]) -> dict[str, Any]:
    before, after = [], []
    for seed, split in enumerate(splits):
        before.append(error(sklearn.neural_network.MLPClassifier, scale, split, seed))
        after.append(error(thinnet.sklearn.MLPClassifier, scale, split, seed, **RATES))
        print(f"{name}, seed {seed}: {100 * before[-1]:.2f} % -> {100 * after[-1]:.2f} %", flush=True)
    anew = any(split[0] is not splits[0][0] for split in splits)
    overlap = TEST / (1 - TEST) if anew else 0.0
    gaps = np.subtract(after, before)
    spread = float(gaps.std(ddof=1)) * math.sqrt(1 / SEEDS + overlap)
    low, high = t_interval(float(gaps.mean()), spread, SEEDS - 1)
    return {
        "rows": {"train": len(splits[0][0]), "test": len(splits[0][1])},
        "before": before,
        "after": after,
        "mean": {"before": digits(float(np.mean(before))), "after": digits(float(np.mean(after)))},
        "difference": {
            "mean": digits(float(gaps.mean())),
            "low": digits(low),
            "high": digits(high),
        },
        "splits": "one a seed" if anew else "one",
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=Path)
    folder = parser.parse_args().mnist
    warnings.simplefilter("ignore", ConvergenceWarning)
    results: dict[str, Any] = {}
    for name, load, scale in (
        ("digits", load_digits, MinMaxScaler()),
        ("breast_cancer", load_breast_cancer, StandardScaler()),
    ):
        x, y = load(return_X_y=True)
        splits = [
            train_test_split(x, y, test_size=TEST, stratify=y, random_state=seed) for seed in range(SEEDS)
        ]
        results[name] = compare(name, scale, splits)
    if folder is None:
        results["mnist"] = json.loads((RESULTS / "sklearn_errors.json").read_text("utf-8"))["mnist"]
    else:
        part = "train" if (folder / "train-images-idx3-ubyte.gz").exists() else "train10k"
        (x, y), (x_test, y_test) = images(folder, part), images(folder, "t10k")
        split = x[:10_000], x_test, y[:10_000], y_test
        results["mnist"] = compare("mnist", FunctionTransformer(), [split] * SEEDS)
    keep("sklearn_errors", results, "scikit-learn")


if __name__ == "__main__":
    main()
