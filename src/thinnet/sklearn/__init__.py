"""Floor 5: scikit-learn's multi-layer perceptrons, with dropout.

`parameters.py` is the one table of parameters, `legal.py` what they may be; `classifier.py` and
`regressor.py` stand on `base.py`; `rows.py` checks data, `engine.py` trains, `losses.py` is minimised.
"""

from thinnet.errors import need

need("sklearn", extra="sklearn", owner="thinnet.sklearn")

from thinnet.sklearn._classifier import MLPClassifier  # noqa: E402
from thinnet.sklearn._regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
