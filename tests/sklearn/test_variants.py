"""Patterns and variants of a user's own in the estimators."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import thinnet as tn
from thinnet.errors import InputError
from thinnet.sklearn import MLPClassifier, MLPRegressor
from thinnet.variants import _catalogue as catalogue
from thinnet.variants import find

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((40, 4))
Y = X[:, 0] * X[:, 1] > 0
SHORT: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture
def own() -> Iterator[tn.variants.Variant]:
    """Return a variant that is not in the catalogue, and remove it afterwards."""
    yield replace(find("Dropout"), name="HalvesOfMyOwn", pattern="n 1")
    catalogue._rows.pop("HalvesOfMyOwn", None)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_variant_is_a_parameter_like_any_other(kind: Any, own: tn.variants.Variant) -> None:
    model = kind(**SHORT, dropout=0.5, variant=own)
    assert model.get_params()["variant"] is own
    copied = clone(model)
    assert copied.get_params()["variant"] == own
    named = kind(**SHORT, dropout=0.5, pattern="n 1")
    assert clone(named).pattern == "n 1"
    fitted = [each.fit(X, Y.astype(float)).coefs_[0] for each in (model, copied, named)]
    assert np.array_equal(fitted[0], fitted[1])
    assert np.array_equal(fitted[0], fitted[2])
    plain = kind(**SHORT, dropout=0.5).fit(X, Y.astype(float))
    assert not np.array_equal(fitted[0], plain.coefs_[0])


def test_the_layers_have_the_pattern() -> None:
    model = MLPClassifier(**SHORT, dropout=0.5, input_dropout=0.1, pattern="n 1").fit(X, Y)
    dropouts = [layer for layer in model.network_.layers if isinstance(layer, tn.net.Dropout)]
    assert [layer.row.pattern for layer in dropouts] == ["n 1", "n 1"]


def test_a_registered_name_is_accepted(own: tn.variants.Variant, refusal: Callable[..., str]) -> None:
    model = MLPClassifier(**SHORT, dropout=0.5, variant="HalvesOfMyOwn")
    assert "MLPClassifier: variant must be" in refusal(InputError, model.fit, X, Y)
    tn.register(own)
    assert np.array_equal(model.fit(X, Y).coefs_[0], model.set_params(variant=own).fit(X, Y).coefs_[0])


def test_searches_and_pickles_take_variants(own: tn.variants.Variant) -> None:
    grid = {"variant": ["Dropout", own], "pattern": [None, "n 1"]}
    search = GridSearchCV(MLPClassifier(**SHORT, dropout=0.5), grid, cv=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    model = MLPClassifier(**SHORT, dropout=0.5, variant=own).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.network_.layers == model.network_.layers
