"""`MLPRegressor`: scikit-learn's, with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from thinnet import net
from thinnet.errors import InputError
from thinnet.sklearn import _parameters as parameters
from thinnet.sklearn._base import MLP, check_partial_fit
from thinnet.sklearn._losses import HalfPoissonDeviance, HalfSquaredError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["MLPRegressor"]

Array: TypeAlias = NDArray[Any]


@parameters.documented
class MLPRegressor(RegressorMixin, MLP):
    """scikit-learn's `MLPRegressor`, with dropout.

    Minimises half the squared error, or half the Poisson deviance, plus an L2 penalty. With `dropout=0` and
    the same `random_state` the weights equal those of `sklearn.neural_network.MLPRegressor`, to rounding. It
    has all parameters, attributes and methods of that class.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from thinnet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = MLPRegressor(hidden_layer_sizes=64, dropout=0.3, learning_rate_init=0.01, random_state=0)
    >>> make_pipeline(StandardScaler(), network).fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.4
    True

    Differs from scikit-learn: the training loss is that of thinned networks, and may exceed the validation
    loss; a model fitted on float32 rows predicts in float32; a fit that raises an error leaves the model
    unchanged; loss="poisson" refuses negative targets; True and False are not accepted as numbers.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014. Glorot, Bengio: Understanding the difficulty of training deep
    feedforward neural networks. AISTATS 2010 (first weights). Kingma, Ba: Adam. ICLR 2015.
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Any = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        input_dropout: Any = 0.0,
        variant: Any = "Dropout",
        pattern: str | None = None,
        max_norm: float | None = None,
    ) -> None:
        self._store(locals())

    def _targets(self, y: Any, dtype: Any, *, first: bool, incremental: bool) -> Array:
        with np.errstate(over="ignore"):
            targets = (y if isinstance(y, np.ndarray) else y.toarray()).astype(dtype)
        if not np.isfinite(targets).all():
            raise InputError(f"MLPRegressor: y has values beyond {dtype}; scale y, or pass X as float64.")
        if self.loss == "poisson" and targets.min() < 0:
            raise InputError(f'MLPRegressor: loss="poisson" needs y of at least 0, got {targets.min():g}.')
        targets = targets[:, None] if targets.ndim == 1 else targets
        self.n_outputs_ = targets.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return targets

    def _loss(self) -> net.Loss:
        return HalfPoissonDeviance() if self.loss == "poisson" else HalfSquaredError()

    def _predictions(self, z: Array) -> Array:
        values = self.network_.loss.link(z)
        return values[:, 0] if self.n_outputs_ == 1 else values

    def _score(self, x: Any, y: Any, weight: Array | None) -> float:
        predicted = self._predictions(self.network_.compute_logits(x))
        return (
            float(r2_score(y, predicted, sample_weight=weight))
            if np.isfinite(predicted).all()
            else float("nan")
        )

    @available_if(check_partial_fit)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on some rows; X, y and sample_weight as for `fit`.

        Raises
        ------
        InputError
            A parameter outside its range, or `early_stopping`.
        """
        return self._fit_once(X, y, sample_weight)
