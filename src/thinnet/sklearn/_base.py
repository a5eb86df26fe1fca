"""The base of both estimators: parameters, fitting, the fitted network, predictions."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from thinnet import net
from thinnet._checks import check_integer
from thinnet._core.random import Key
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.net import Network
from thinnet.sklearn import _engine as engine
from thinnet.sklearn import _parameters as parameters
from thinnet.sklearn._rows import check_row_weights, check_rows, to_network_dtype

if TYPE_CHECKING:
    from typing import Self

__all__ = ["MLP", "check_partial_fit", "fit_epochs"]

Array: TypeAlias = NDArray[Any]

# The attributes that training by epochs sets.
_BY_EPOCH = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_", "_optimizer")


class MLP(BaseEstimator):
    """The base of both estimators."""

    loss: str
    coefs_: list[Array]
    intercepts_: list[Array]
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    n_iter_: int
    t_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    if TYPE_CHECKING:
        # Parameters are stored as they are passed; `_parameters.TABLE` documents and checks them.
        def __getattr__(self, name: str) -> Any: ...

    def _store(self, given: dict[str, Any]) -> None:
        """Store the arguments of the constructor as attributes."""
        for row in parameters.TABLE:
            if row.name in given:
                setattr(self, row.name, given[row.name])

    # --- implemented by the classifier and the regressor ------------------------------------------

    def _targets(self, y: Any, dtype: Any, *, first: bool, incremental: bool) -> Array:
        """Return targets in the form of the network; a first fit also stores their classes or outputs."""
        raise NotImplementedError

    def _set_classes(self, y: Any, classes: Any) -> None:
        """Store all classes, some of which y may lack."""

    def _loss(self) -> net.Loss:
        raise NotImplementedError

    def _predictions(self, z: Array) -> Array:
        """Return predictions from logits."""
        raise NotImplementedError

    def _sampled(self, z: Array) -> Array:
        """Return the result of a thinned network from logits: probabilities, or values."""
        return self._predictions(z)

    def _score(self, x: Any, y: Array, weight: Array | None) -> float:
        """Return the score for early stopping; NaN if predictions are not finite."""
        raise NotImplementedError

    # --- fitting ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new network, or with `warm_start` the fitted one.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Rows. float32 is trained in float32, except with lbfgs; every other dtype in float64.
        y : array_like, shape (n,) or (n, outputs)
            Classes or values.
        sample_weight : array_like, shape (n,), optional
            Weight of each row in the loss.

        Returns
        -------
        self

        Raises
        ------
        InputError
            A parameter outside its range.
        ValueError
            Data that scikit-learn refuses: NaN, infinity, shapes that do not fit; weights that diverge.
        """
        with self._restored_on_error():
            self._fit(X, y, sample_weight)
            self._check_finite()
        return self

    def _fit_once(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        with self._restored_on_error():
            self._set_classes(y, classes)
            self._fit(X, y, sample_weight, incremental=True, after_epoch=lambda: True)
            self._check_finite()
        return self

    @contextlib.contextmanager
    def _restored_on_error(self) -> Generator[None, None, None]:
        """Restore the state of before after an error; only the optimiser is reset."""
        before: dict[str, Any] = {
            name: list(cast("list[Any]", value)) if name.endswith("_") and isinstance(value, list) else value
            for name, value in vars(self).items()
        }
        network: Network | None = before.get("_network")
        flat, step = (network.flat.copy(), network.step) if network is not None else (None, 0)
        try:
            yield
        except Exception:
            vars(self).clear()
            vars(self).update(before)
            if network is not None:
                network.flat[:], network.step = flat, step
                vars(self).pop("_optimizer", None)
            raise

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        incremental: bool = False,
        after_epoch: engine.AfterEpoch | None = None,
    ) -> None:
        parameters.check(self)
        if incremental and self.early_stopping:
            raise InputError(
                f"{type(self).__name__}: partial_fit cannot set validation rows aside; "
                "set early_stopping=False."
            )
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, y = check_rows(self, X, y, first=first)
        weight = check_row_weights(self, sample_weight, x)
        targets = self._targets(y, x.dtype, first=first, incremental=incremental)
        random = check_random_state(self.random_state)
        self._begin([x.shape[1], *parameters.sizes_of(self), self.n_outputs_], x.dtype, random, first=first)
        if self.solver == "lbfgs":
            engine.fit_lbfgs(self, x, targets, weight)
        else:
            policy = engine.policy_of(self)
            if not incremental or getattr(self, "_policy", None) != policy or not hasattr(self, "_optimizer"):
                self._optimizer, self._policy = engine.optimizer_of(self), policy
            data, held_out = self._split((x, targets, weight), y, random)
            engine.train(self, data, held_out, random, after_epoch)

    def _check_finite(self) -> None:
        if not np.isfinite(self.network_.flat).all():
            raise ValueError(
                f"{type(self).__name__}: training diverged to infinite weights; standardise the features, "
                "or lower learning_rate_init."
            )

    def _begin(self, widths: list[int], dtype: Any, random: np.random.RandomState, *, first: bool) -> None:
        """Create the network and its counters, or prepare to resume."""
        if first:
            self.n_layers_, self.n_iter_, self.t_ = len(widths), 0, 0
            self._set_network(engine.new_network(self, widths, dtype, random))
        else:
            self._set_network(engine.resumed_network(self, widths))
        if self.solver == "lbfgs":
            for name in _BY_EPOCH if first else ():
                vars(self).pop(name, None)
            return
        if first or not hasattr(self, "loss_curve_"):
            self.loss_curve_, self._early_stopping_before = [], None
        if self._early_stopping_before != bool(self.early_stopping):
            self._early_stopping_before, self._no_improvement_count = bool(self.early_stopping), 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _split(self, data: Any, y: Any, random: np.random.RandomState) -> tuple[Any, Any]:
        """Return the training rows, and the validation rows of early stopping or None."""
        if not self.early_stopping:
            return data, None
        x, targets, weight = data
        inside, outside = train_test_split(
            np.arange(x.shape[0]),
            random_state=random,
            test_size=self.validation_fraction,
            stratify=targets if self.n_outputs_ == 1 and isinstance(self, ClassifierMixin) else None,
        )
        if len(outside) < 2:
            raise InputError(
                f"{type(self).__name__}: early_stopping needs at least 2 rows for validation, but "
                f"validation_fraction={self.validation_fraction} of {x.shape[0]} rows is {len(outside)}; "
                "raise it."
            )
        weights = [None, None] if weight is None else [weight[inside], weight[outside]]
        return (x[inside], targets[inside], weights[0]), (x[outside], y[outside], weights[1])

    # --- the fitted network -----------------------------------------------------------------------

    @property
    def network_(self) -> Network:
        """The fitted `thinnet.net.Network`; `coefs_` and `intercepts_` are views of its weights."""
        check_is_fitted(self)
        network: Network = self._network
        given, own = [*self.coefs_, *self.intercepts_], _views(network)
        if len(given) != len(own) or any(a is not b for a, b in zip(given, own, strict=True)):
            # The user has replaced arrays in the lists.
            shapes, found = ([np.shape(array) for array in arrays] for arrays in (own, given))
            if found != shapes:
                raise InputError(
                    f"{type(self).__name__}: coefs_ and intercepts_ must have shapes {shapes}, got {found}."
                )
            flat = np.concatenate([np.ravel(array) for array in given])
            self._set_network(
                Network(network.layers, key=network.key, loss=network.loss, dtype=network.dtype, flat=flat)
            )
            self._network.step = network.step
        return self._network

    def _set_network(self, network: Network) -> None:
        self._network = network
        dense = [weights for weights in network.weights if "weight" in weights]
        self.coefs_ = [weights["weight"] for weights in dense]
        self.intercepts_ = [weights["bias"] for weights in dense]

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        state = dict(state)
        if "_network" in state:
            state["_network"] = self.network_
            del state["coefs_"], state["intercepts_"]  # views of the network's weights
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_network" in state:
            self._set_network(state["_network"])

    # --- predicting ------------------------------------------------------------------------------

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self)
        x: Any = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        return to_network_dtype(self, x)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    def predict(self, X: Any) -> Array:
        """Return the predictions of the mean network.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Rows. The prediction of a row depends on that row alone; only its last digits may change with the
            number of rows, because BLAS then adds in another order.

        Returns
        -------
        ndarray, shape (n,) or (n, outputs)
            Classes, indicators of labels, or values.
        """
        return self._predictions(self.network_.compute_logits(self._rows(X)))

    def sample_predict(self, X: Any, *, draws: int, key: Key) -> Array:
        """Return the predictions of thinned networks: probabilities of a classifier, values of a regressor.

        Draw i is made by the network thinned at `key.fold(i)`: one mask for each unit, shared by all rows. So
        two calls with one key use the same thinned networks.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Rows.
        draws : int
            Number of thinned networks.
        key : Key
            The address of their masks.

        Returns
        -------
        ndarray, shape (draws, n, classes), (draws, n) or (draws, n, outputs)

        Raises
        ------
        InputError
            draws is less than 1, or key is not a Key.

        References
        ----------
        Gal, Ghahramani: Dropout as a Bayesian approximation. ICML 2016.
        """
        owner = f"{type(self).__name__}.sample_predict"
        check_integer(owner, "draws", draws, 1)
        check_key(owner, key)
        rows, network = self._rows(X), self.network_
        thinned = (network.thinned(key=key.fold(i)) for i in range(draws))
        return np.stack([self._sampled(each.compute_logits(rows)) for each in thinned])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def fit_epochs(
    mlp: Any, X: Any, y: Any, after_epoch: engine.AfterEpoch | None = None, classes: Any = None
) -> None:
    """Fit a new network with a function after each epoch; the weights equal those of `fit`.

    Parameters
    ----------
    mlp : MLP
        Not fitted yet, without early stopping. Diverging weights raise no error here.
    X, y
        As for `fit`.
    after_epoch : function, optional
        Called after each epoch; training ends when it returns True.
    classes : array_like, optional
        All classes, some of which y may lack.
    """
    mlp._set_classes(y, classes)
    mlp._fit(X, y, incremental=True, after_epoch=after_epoch)


def _views(network: Network) -> list[Array]:
    """Return the arrays of `coefs_` and `intercepts_`."""
    dense = [weights for weights in network.weights if "weight" in weights]
    return [weights[name] for name in ("weight", "bias") for weights in dense]


def check_partial_fit(estimator: MLP) -> bool:
    """Return True if the estimator has `partial_fit`; raise AttributeError otherwise."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            f'{type(estimator).__name__}: solver="lbfgs" needs all rows at once, so it has no partial_fit; '
            'use solver="adam" or "sgd".'
        )
    return True
