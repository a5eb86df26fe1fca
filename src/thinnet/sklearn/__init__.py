"""Multi-layer perceptrons with the interface of scikit-learn, with dropout.

`MLPClassifier` and `MLPRegressor` have the parameters, attributes and methods of scikit-learn's estimators,
and `dropout`, `input_dropout`, `variant`, `pattern` and `max_norm`. They require the extra `sklearn`.
"""

from thinnet.errors import need

need("sklearn", extra="sklearn", owner="thinnet.sklearn")

from thinnet.sklearn._classifier import MLPClassifier  # noqa: E402
from thinnet.sklearn._regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
