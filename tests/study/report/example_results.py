"""A made-up but realistic `results` dict, as a study writes it to results.json."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from thinnet.study._report.figures import Picture, draw_figures

HOSTILE = '<script>alert("a & b")</script>'
CODE = """from thinnet.sklearn import MLPClassifier

model = MLPClassifier((256, 256), dropout=0.45, input_dropout=0.1, random_state=0)
model.fit(X, y)
"""


def example_results(
    task: str = "classification",
    *,
    verdict: str = "dropout helps",
    epochs: int = 60,
    folds: int = 3,
    seeds: int = 5,
    trials: int = 24,
) -> dict[str, Any]:
    """Make results of a study; the numbers are drawn, but shaped like those of a real one."""
    rng = np.random.default_rng(0)
    unit = 1.0 if task == "classification" else 1_500_000.0
    shift = {"dropout helps": -0.006, "no evidence either way": -0.001, "dropout hurts": 0.006}[verdict]
    baseline = unit * (0.025 + 0.002 * rng.standard_normal(seeds))
    dropout = baseline + unit * (shift + 0.0012 * rng.standard_normal(seeds))
    mean, half = float(np.mean(dropout - baseline)), 0.004 * unit
    side = "baseline" if verdict == "dropout hurts" else "dropout"
    found = {
        "dropout": {"input_rate": 0.1, "hidden_rate": 0.45, "max_norm": 3.0, "learning_rate": 0.0012},
        "baseline": {"weight_decay": 0.00031, "learning_rate": 0.0007, "patience": 12},
    }
    return {
        "format": "thinnet.study/1",
        "data": _data(task),
        "task": task,
        "metric": "error" if task == "classification" else "rmse",
        "classes": [str(label) for label in range(10)] if task == "classification" else [],
        "chance": 0.899 * unit if task == "classification" else 0.08 * unit,
        "preparation": _preparation(),
        "options": {"seed": 0, "trials": trials, "seeds": seeds, "max_width": 2048, "time_budget": None},
        "width": 256,
        "depth": 2,
        "grow": {
            "reached": True,
            "reason": "the training rows are fitted without an error",
            "widths": [_width(rng, unit, width, folds) for width in (16, 32, 64, 128, 256, 512)],
        },
        "dropout": _side(found["dropout"], dropout, epochs),
        "baseline": _side(found["baseline"], baseline, epochs // 2 + 1),
        "recommended": {"side": side, **found[side], "width": 256, "epochs": epochs, "batch": 64}
        | {"why": "It had the lower test score, and the interval keeps clear of zero."},
        "difference": {
            "mean": mean,
            "low": mean - half,
            "high": mean + half,
            "seeds_only": {"low": mean - 0.4 * half, "high": mean + 0.4 * half},
        },
        "verdict": verdict,
        "sentence": f"On these rows the test says: {verdict}.",
        "where": [
            {"site": site, "validation_loss": loss, "validation_score": unit * loss / 4}
            for site, loss in (("input and hidden", 0.094), ("hidden only", 0.091), ("input only", 0.121))
        ]
        + [{"site": "neither", "validation_loss": 0.128, "validation_score": unit * 0.033}],
        "boosting": {"name": "HistGradientBoosting", "score": 0.0278 * unit},
        "sweep": [_rate(rng, unit, rate, folds) for rate in np.linspace(0, 0.8, 9)],
        "trials": {name: _trials(rng, unit, name, trials) for name in ("dropout", "baseline")},
        "curves": {
            "grown": _curves(rng, unit, [epochs] * folds, gap=1.0),
            "dropout": _curves(rng, unit, [epochs + 3 * fold for fold in range(folds)], gap=0.2),
            "baseline": _curves(rng, unit, [max(1, epochs // 2 - fold) for fold in range(folds)], gap=0.45),
        },
        "code": CODE,
        "versions": {"python": "3.11.7", "numpy": "2.1.0", "thinnet": "0.1.0", "scikit-learn": "1.5.2"},
        "seconds": {"total": 75.3, "grow": 12.2, "search": 51.0, "confirm": 11.8},
        "created": "2025-01-31T12:00:00",
    }


def _data(task: str) -> dict[str, Any]:
    classification = task == "classification"
    return {
        "name": "digits" if classification else "houses.csv",
        "rows": 1797,
        "columns": 64 if classification else 9,
        "target": "digit" if classification else "price",
        "test_rows": 360,
        "group": None,
        "fingerprint": "9f3a61c2d07be845",
    }


def _preparation() -> list[dict[str, Any]]:
    return [
        {"column": "area", "kind": "number", "treatment": "standardised", "features": 1},
        {"column": HOSTILE, "kind": "category", "treatment": "one column a level", "features": 4},
        {"column": "id", "kind": "identifier", "treatment": "left out", "features": 0},
    ]


def _side(settings: dict[str, Any], scores: np.ndarray, epochs: int) -> dict[str, Any]:
    return {
        "settings": {**settings, "width": 256},
        "network": "64-256-256-10",
        "validation_loss": 0.091,
        "epochs": epochs,
        "scores": scores.tolist(),
        "mean": float(scores.mean()),
    }


def _width(rng: np.random.Generator, unit: float, width: int, folds: int) -> dict[str, Any]:
    noise = 0.003 * rng.standard_normal(folds)
    train = np.maximum(0, 0.11 / width**0.4 - 0.012 + noise / 5)
    return {
        "width": width,
        "train": (unit * train).tolist(),
        "validation": (unit * (0.03 + 0.4 / width + noise)).tolist(),
    }


def _rate(rng: np.random.Generator, unit: float, rate: float, folds: int) -> dict[str, Any]:
    noise = 0.002 * rng.standard_normal(folds)
    return {
        "rate": float(rate),
        "train": (unit * np.maximum(0, 0.02 * rate**3 + noise / 5)).tolist(),
        "validation": (unit * (0.024 + 0.06 * (rate - 0.45) ** 2 + noise)).tolist(),
    }


def _trials(rng: np.random.Generator, unit: float, side: str, count: int) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = []
    for number in range(count):
        rate = float(rng.uniform(0, 0.8))
        score = 0.024 + 0.07 * (rate - 0.45) ** 2 + abs(float(rng.normal(0, 0.006)))
        pruned = number % 4 == 3
        settings = {"hidden_rate": rate, "input_rate": rate / 4, "max_norm": None, "learning_rate": 1e-3}
        trials.append(
            {
                "number": number,
                "state": "pruned" if pruned else "complete",
                "settings": settings if side == "dropout" else {"weight_decay": 1e-4, "patience": None},
                "validation_loss": None if number == 7 else 4 * score,
                "validation_score": float("nan") if number == 7 else unit * score * (1.3 if pruned else 1),
            }
        )
    return trials


def _curves(rng: np.random.Generator, unit: float, lengths: list[int], gap: float) -> dict[str, Any]:
    names = ("train_loss", "validation_loss", "train_score", "validation_score")
    curves: dict[str, Any] = {name: [] for name in names}
    for length in lengths:
        time = np.arange(1, length + 1) / max(lengths)
        fall = 2.2 * np.exp(-18 * time)
        train = fall + 0.11 * (1 - gap) + 0.002
        noise = 0.004 * rng.standard_normal(length) + 0.01 * rng.standard_normal()
        validation = fall + 0.11 - 0.015 * (1 - gap) + gap * 0.13 * time + noise
        for name, values in zip(
            names, (train, validation, train * unit / 5, validation * unit / 4), strict=True
        ):
            curves[name].append(np.maximum(values, 0).tolist())
    return curves


@functools.cache
def example_pictures() -> dict[str, Picture]:
    """Draw the charts of the example, once for all tests."""
    return draw_figures(example_results())
