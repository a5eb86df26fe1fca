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
from thinnet.random import Key
from thinnet.sklearn import parameters
from thinnet.sklearn.base import MLP, stochastic
from thinnet.sklearn.losses import HalfPoissonDeviance, HalfSquaredError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["MLPRegressor"]

Array: TypeAlias = NDArray[Any]


@parameters.documented
class MLPRegressor(RegressorMixin, MLP):
    """scikit-learn's `MLPRegressor`, with dropout.

    Minimises half the squared error, or half the Poisson deviance, plus an L2 penalty. With `dropout=0` and
    the same `random_state` it has the weights of `sklearn.neural_network.MLPRegressor`, to rounding; all
    its parameters, attributes and methods are here.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (d, k) and intercepts (k,) of each layer; views of those of `network_`.
    network_ : thinnet.net.Network
        What was trained; `network_.save` writes it, `network_.thinned(key)` is one thinned network.
    loss_, best_loss_ : float
        Loss of the last epoch, and the least; the second is None with early_stopping.
    loss_curve_ : list of float
        Loss of each epoch: of the thinned networks that were trained, penalty included.
    validation_scores_, best_validation_score_ : list of float, float
        With early_stopping: the mean network's R² on the rows set aside. None without.
    n_iter_, t_ : int
        Epochs (or iterations) of the last fit; rows seen.
    n_layers_, n_outputs_, out_activation_ : int, int, str
        Layers with the inputs', outputs, and what follows the last one.
    n_features_in_, feature_names_in_ : int, ndarray
        Features seen by fit, and their names if all are strings.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from thinnet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = make_pipeline(StandardScaler(), MLPRegressor((64,), dropout=0.3, max_iter=500, random_state=0))
    >>> reg.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.4
    True

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
        variant: str = "Dropout",
        max_norm: float | None = None,
    ) -> None:
        self._keep(locals())

    def _targets(self, y: Any, dtype: Any, *, first: bool, incremental: bool) -> Array:
        targets = y.astype(dtype)
        if self.loss == "poisson" and targets.min() < 0:
            raise InputError(f'MLPRegressor: loss="poisson" needs y of at least 0, got {targets.min():g}.')
        targets = targets[:, None] if targets.ndim == 1 else targets
        self.n_outputs_ = targets.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return targets

    def _loss(self) -> net.Loss:
        return HalfPoissonDeviance() if self.loss == "poisson" else HalfSquaredError()

    def _answers(self, z: Array) -> Array:
        values = self._loss().link(z)
        return values[:, 0] if self.n_outputs_ == 1 else values

    def _score(self, x: Any, y: Any, weight: Array | None) -> float:
        predicted = self._answers(self.network_.through(x))
        return (
            float(r2_score(y, predicted, sample_weight=weight))
            if np.isfinite(predicted).all()
            else float("nan")
        )

    @available_if(stochastic)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Go once over some rows; X, y and sample_weight as for `fit`."""
        return self._piece(X, y, sample_weight)

    def sample_predict(self, X: Any, draws: int, key: Key) -> Array:
        """Return the predictions of thinned networks.

        Draw i is of the network thinned at `key.fold(i)`: one mask for each unit, shared by all rows. So
        a row's answers depend on the key alone, and draws of two calls with one key belong together.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Rows.
        draws : int
            How many networks.
        key : Key
            The address of their masks.

        Returns
        -------
        ndarray, shape (draws, n) or (draws, n, outputs)

        Raises
        ------
        InputError
            draws is less than 1, or key is no Key.

        References
        ----------
        Gal, Ghahramani: Dropout as a Bayesian approximation. ICML 2016.
        """
        rows, networks = self._thinned(X, draws, key)
        return np.stack([self._answers(thin.through(rows)) for thin in networks])
