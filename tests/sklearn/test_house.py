"""In scikit-learn's house: pipelines, searches, scores, calibration, routing, diagrams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn
from thinnet.schedules import Linear
from thinnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_breast_cancer(return_X_y=True)
CLASSIFIER = MLPClassifier(
    (32,), dropout=0.3, input_dropout=0.1, learning_rate_init=0.01, max_iter=30, random_state=0
)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(32,), dropout=0.1, max_iter=200, random_state=0)


def test_pipeline_and_scores() -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), CLASSIFIER), X, Y, cv=3)
    assert scores.min() > 0.95


@pytest.fixture
def processes() -> Iterator[None]:
    """Processes of joblib, which would outlive the test."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.usefixtures("processes")
def test_grid_search_in_two_processes() -> None:
    grid = {
        "mlp__dropout": [0.0, 0.5, Linear(0.0, 0.5, 100), [0.25]],
        "mlp__variant": ["Dropout", "GaussianDropout"],
    }
    pipeline = sklearn.pipeline.Pipeline([("scale", StandardScaler()), ("mlp", CLASSIFIER)])
    search, alone = (GridSearchCV(pipeline, grid, cv=2, n_jobs=jobs).fit(X, Y) for jobs in (2, 1))
    assert search.best_params_ == alone.best_params_
    assert np.array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert search.best_score_ > 0.95


def test_clone_takes_parameters_and_no_weights() -> None:
    fitted = clone(CLASSIFIER).set_params(max_iter=1).fit(X, Y)
    copied = clone(fitted)
    assert repr(copied.get_params()) == repr(fitted.get_params())
    assert not hasattr(copied, "coefs_")


def test_pandas_in_and_through() -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    with sklearn.config_context(transform_output="pandas"):
        pipeline = make_pipeline(StandardScaler(), clone(CLASSIFIER).set_params(max_iter=100)).fit(x, y)
        assert list(pipeline[-1].feature_names_in_) == list(x.columns)
        assert pipeline.score(x, y) > 0.9
        with pytest.raises(ValueError, match="feature names should match"):
            pipeline[-1].predict(x[x.columns[::-1]])
    named = clone(CLASSIFIER).fit(x, pd.Series(y).map({0: "a", 1: "b", 2: "c"}))
    assert named.classes_.tolist() == ["a", "b", "c"]
    assert set(named.predict(x)) <= {"a", "b", "c"}


def test_weights_of_rows_are_routed() -> None:
    weight = np.where(Y == 1, 5.0, 0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(CLASSIFIER).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scale, routed).fit(X, Y, sample_weight=weight)
        scores = cross_val_score(pipeline, X, Y, params={"sample_weight": weight}, cv=2)
        rows = next(iter(check_cv(2, Y, classifier=True).split(X, Y)))
        alone = clone(pipeline).fit(X[rows[0]], Y[rows[0]], sample_weight=weight[rows[0]])
        assert scores[0] == alone.score(X[rows[1]], Y[rows[1]], sample_weight=weight[rows[1]])
    direct = clone(CLASSIFIER).fit(StandardScaler().fit_transform(X), Y, sample_weight=weight)
    assert np.array_equal(pipeline[-1].coefs_[0], direct.coefs_[0])


def test_calibration() -> None:
    calibrated = CalibratedClassifierCV(make_pipeline(StandardScaler(), CLASSIFIER), cv=2).fit(X, Y)
    assert calibrated.score(X, Y) > 0.95


def test_permutation_importance() -> None:
    x = StandardScaler().fit_transform(X)
    fitted = clone(CLASSIFIER).fit(x, Y)
    found = permutation_importance(fitted, x, Y, n_repeats=2, random_state=0)
    assert found.importances_mean.shape == (30,)
    assert found.importances_mean.max() > 0


def test_learning_curve() -> None:
    _, train, test = learning_curve(
        CLASSIFIER, StandardScaler().fit_transform(X), Y, cv=2, train_sizes=[0.5, 1.0]
    )
    assert train.min() > 0.9
    assert test.min() > 0.9


def test_inside_other_estimators() -> None:
    x = StandardScaler().fit_transform(X)
    voting = VotingClassifier([("mlp", CLASSIFIER), ("line", LogisticRegression())], voting="soft")
    assert voting.fit(x, Y).score(x, Y) > 0.95
    assert BaggingClassifier(CLASSIFIER, n_estimators=2, random_state=0).fit(x, Y).score(x, Y) > 0.95
    d, t = load_diabetes(return_X_y=True)
    scaled = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), REGRESSOR), transformer=StandardScaler()
    )
    assert scaled.fit(d, t).score(d, t) > 0.4
    stacked = StackingRegressor([("mlp", scaled), ("line", Ridge())], cv=2)
    assert stacked.fit(d, t).score(d, t) > 0.3


def test_diagram_and_text() -> None:
    pipeline: Any = make_pipeline(StandardScaler(), CLASSIFIER)
    assert "MLPClassifier" in pipeline._repr_html_()
    assert "dropout" in CLASSIFIER._repr_html_()
    text = "MLPClassifier(dropout=0.3, hidden_layer_sizes=(32,), input_dropout=0.1,"
    assert repr(CLASSIFIER).startswith(text)
