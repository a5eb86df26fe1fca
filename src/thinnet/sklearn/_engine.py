"""The training of an estimator: its network, and mini-batches or L-BFGS on all rows at once.

The functions read the parameters of an estimator and write the fitted attributes that scikit-learn has.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import shuffle

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._optimizers import Limit
from thinnet.net._training import Step, run_epoch, update
from thinnet.sklearn import _parameters as parameters

__all__ = [
    "AfterEpoch",
    "fit_lbfgs",
    "new_network",
    "optimizer_of",
    "policy_of",
    "resumed_network",
    "train",
]

Array: TypeAlias = NDArray[Any]

_ACTIVATIONS: dict[str, list[net.Layer]] = {
    "identity": [],
    "logistic": [net.Sigmoid()],
    "tanh": [net.Tanh()],
    "relu": [net.ReLU()],
}
_LEAST_RATE = 1e-6

AfterEpoch: TypeAlias = Callable[[], bool]


def caller_level() -> int:
    """Return the stacklevel of a warning that points to the caller of thinnet."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("thinnet."):
        frame, level = frame.f_back, level + 1
    return level


def new_network(mlp: Any, widths: list[int], dtype: Any, random: np.random.RandomState) -> net.Network:
    """Return the network of an estimator, with the initial weights of scikit-learn."""
    # The key is drawn from a copy, so that masks do not advance the generator.
    key = Key(int(copy.deepcopy(random).randint(2**63 - 1, dtype=np.int64)))
    matrices: list[Array] = []
    biases: list[Array] = []
    for d, k in pairwise(widths):
        # Glorot, Bengio: Understanding the difficulty of training deep networks. AISTATS 2010, equation 16
        limit = math.sqrt((2 if mlp.activation == "logistic" else 6) / (d + k))
        matrices.append(random.uniform(-limit, limit, (d, k)).ravel())
        biases.append(random.uniform(-limit, limit, k))
    weights = np.concatenate([*matrices, *biases])
    return net.Network(_layers(mlp, widths), key=key, loss=mlp._loss(), dtype=dtype, flat=weights)


def resumed_network(mlp: Any, widths: list[int]) -> net.Network:
    """Return the fitted network under the current parameters, with its weights."""
    known: net.Network = mlp.network_
    if [known.inputs, *(layer.outputs for layer in known.layers if isinstance(layer, net.Dense))] != widths:
        sizes = [matrix.shape[1] for matrix in mlp.coefs_]
        raise InputError(
            f"{type(mlp).__name__}: the fitted layers have {sizes} units, but the parameters ask for "
            f"{widths[1:]}; set warm_start=False and call fit to train a new network."
        )
    if type(known.loss) is not type(mlp._loss()):
        raise InputError(
            f"{type(mlp).__name__}: the network was fitted with another loss; set warm_start=False and "
            "call fit to train a new network."
        )
    layers = tuple(_layers(mlp, widths))
    if layers == known.layers:
        return known
    network = net.Network(layers, key=known.key, loss=known.loss, dtype=known.dtype, flat=known.flat)
    network.step = known.step
    return network


def _layers(mlp: Any, widths: list[int]) -> list[net.Layer]:
    layers = _dropout(mlp, mlp.input_dropout)
    for (d, k), rate in zip(pairwise(widths[:-1]), parameters.rates_of(mlp), strict=True):
        dense = net.Dense(d, k, max_norm=mlp.max_norm)
        layers += [dense, *_ACTIVATIONS[mlp.activation], *_dropout(mlp, rate)]
    return [*layers, net.Dense(*widths[-2:])]


def _dropout(mlp: Any, rate: Any) -> list[net.Layer]:
    return [net.Dropout(rate, variant=mlp.variant, pattern=mlp.pattern)] if parameters.is_active(rate) else []


class Adam(net.Adam):
    """Adam with epsilon added before the bias correction of the second moment, as in scikit-learn and Keras.

    References
    ----------
    Kingma, Ba: Adam. ICLR 2015, section 2, last paragraph.
    """

    def update(self, weights: Array, grads: Array, decayed: int, limits: tuple[Limit, ...] = ()) -> None:
        epsilon, self.epsilon = self.epsilon, self.epsilon / math.sqrt(1 - self.betas[1] ** (self.step + 1))
        try:
            super().update(weights, grads, decayed, limits)
        finally:
            self.epsilon = epsilon


def policy_of(mlp: Any) -> tuple[Any, ...]:
    """Return the parameters that an optimiser is bound to; if they change, a new one is needed."""
    rate = mlp.learning_rate_init
    return (mlp.solver, mlp.learning_rate if mlp.solver == "sgd" else "", rate if callable(rate) else "")


def optimizer_of(mlp: Any) -> net.Optimizer:
    """Return a new optimiser for an estimator."""
    rate = mlp.learning_rate_init
    if mlp.solver == "sgd":
        nesterov = bool(mlp.nesterovs_momentum and mlp.momentum)
        return net.SGD(rate, momentum=mlp.momentum, nesterov=nesterov)
    adaptive: dict[str, Any] = {"betas": (mlp.beta_1, mlp.beta_2), "epsilon": mlp.epsilon}
    return (
        Adam(rate, **adaptive)
        if mlp.solver == "adam"
        else net.AdamW(rate, **adaptive, weight_decay=mlp.alpha)
    )


def train(
    mlp: Any, data: Any, held_out: Any, random: np.random.RandomState, after_epoch: AfterEpoch | None
) -> None:
    """Train on mini-batches until the loss or the validation score stops improving.

    Parameters
    ----------
    mlp : estimator
        Trained in place.
    data : (x, y, weight or None)
        Rows, targets in the form of the network, weights of rows.
    held_out : (x, y, weight or None), or None
        Validation rows, with targets in the form of the user; the weights with the best score are kept.
    random : RandomState
        The generator of the orders of rows.
    after_epoch : function, optional
        Called after each epoch; training ends when it returns True.
    """
    rows = data[0].shape[0]
    batch = _batch(mlp, rows)
    network: net.Network = mlp.network_
    order: Any = np.arange(rows)
    best = network.flat.copy() if held_out else None
    step = _step(mlp, network)
    mlp.n_iter_ = 0
    try:
        while mlp.n_iter_ < mlp.max_iter:
            if mlp.shuffle:
                order = shuffle(order, random_state=random)
            # A single batch holds all rows, so it has no order.
            mlp.loss_ = run_epoch(data, order if mlp.shuffle and batch < rows else None, batch, step)
            mlp.n_iter_ += 1
            mlp.t_ += rows
            mlp.loss_curve_.append(mlp.loss_)
            if mlp.verbose:
                print(f"Iteration {mlp.n_iter_}, loss = {mlp.loss_:.8f}")
            if _update_best(mlp, held_out):
                best = network.flat.copy()
            if _stalled(mlp) or (after_epoch is not None and after_epoch()):
                break
        else:
            _warn_of_max_iter(mlp)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=caller_level())
    if best is not None:
        network.flat[:] = best


def _batch(mlp: Any, rows: int) -> int:
    if mlp.batch_size == "auto":
        return min(200, rows)
    if mlp.batch_size > rows:
        warnings.warn(
            f"{type(mlp).__name__}: batch_size is {mlp.batch_size}, but there are only {rows} rows; "
            "each mini-batch holds all rows.",
            stacklevel=caller_level(),
        )
    return min(mlp.batch_size, rows)


def _step(mlp: Any, network: net.Network) -> Step:
    """Return a function that makes one update; its loss includes the penalty over the total row weight."""
    optimizer, matrices = mlp._optimizer, network.flat[: network.decayed]
    alpha = float(mlp.alpha)
    if mlp.solver == "adamw":
        optimizer.weight_decay, alpha = alpha, 0.0

    def step(x: Any, y: Array, weight: Array | None) -> float:
        penalty = 0.0
        if alpha:
            optimizer.l2 = alpha / (x.shape[0] if weight is None else float(weight.sum()) or 1.0)
            penalty = optimizer.l2 / 2 * float(np.dot(matrices, matrices))
        return update(network, optimizer, x, y, weight) + penalty

    return step


def _update_best(mlp: Any, held_out: Any) -> bool:
    """Count the epochs without improvement; return whether the validation score is the best so far."""
    if held_out is None:
        loss = mlp.loss_curve_[-1]
        mlp._no_improvement_count = mlp._no_improvement_count + 1 if loss > mlp.best_loss_ - mlp.tol else 0
        mlp.best_loss_ = min(loss, mlp.best_loss_)
        return False
    score = mlp._score(*held_out)
    mlp.validation_scores_.append(score)
    if mlp.verbose:
        print(f"Validation score: {score:f}")
    best = mlp.best_validation_score_
    better = score >= best + mlp.tol  # False if the score is NaN
    mlp._no_improvement_count = 0 if better else mlp._no_improvement_count + 1
    mlp.best_validation_score_ = max(best, score)
    return score > best


def _stalled(mlp: Any) -> bool:
    """Apply the learning rate policy; return whether training ends after this epoch."""
    optimizer = mlp._optimizer
    policy = mlp.learning_rate if mlp.solver == "sgd" else "constant"
    if policy == "invscaling":
        _set_rate(optimizer, mlp.learning_rate_init / (mlp.t_ + 1) ** mlp.power_t)
    if mlp._no_improvement_count <= mlp.n_iter_no_change:
        return False
    quantity = "Validation score" if mlp.early_stopping else "Training loss"
    line = (
        f"{quantity} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change} consecutive epochs."
    )
    ends = policy != "adaptive" or optimizer.learning_rate <= _LEAST_RATE
    if ends:
        line += " Stopping." if policy != "adaptive" else " Learning rate too small. Stopping."
    else:
        _set_rate(optimizer, optimizer.learning_rate / 5)
        mlp._no_improvement_count = 0
        line += f" Setting learning rate to {optimizer.learning_rate:f}"
    if mlp.verbose:
        print(line)
    return ends


def _set_rate(optimizer: Any, rate: float) -> None:
    """Change SGD's learning rate without rescaling the momentum buffer."""
    for velocity in optimizer.state:
        np.multiply(velocity, optimizer.learning_rate / rate, out=velocity)
    optimizer.learning_rate = rate


def _warn_of_max_iter(mlp: Any) -> None:
    """Warn that max_iter ended the training, unless a schedule of the learning rate ends it there."""
    if not callable(mlp.learning_rate_init):
        warnings.warn(
            f"{type(mlp).__name__}: training has not converged after max_iter={mlp.max_iter} epochs; raise "
            "max_iter, or pass learning_rate_init a schedule that ends there.",
            ConvergenceWarning,
            stacklevel=caller_level(),
        )


def fit_lbfgs(mlp: Any, x: Any, y: Array, weight: Array | None) -> None:
    """Fit the weights by L-BFGS on all rows at once.

    References
    ----------
    Byrd, Lu, Nocedal, Zhu: A limited memory algorithm for bound constrained optimization. SIAM J. Sci.
    Comput. 16, 1995.
    """
    from scipy.optimize import OptimizeResult, minimize

    network = mlp.network_
    total = x.shape[0] if weight is None else float(weight.sum())

    def loss_and_gradient(flat: Array) -> tuple[float, Array]:
        network.flat[:] = flat
        matrices, count = network.flat[: network.decayed], network.decayed
        loss, gradient = network.loss(network.forward(x), y, sample_weight=weight)
        network.backward(gradient)
        network.flat_grads[:count] += mlp.alpha / total * matrices
        penalty = mlp.alpha / (2 * total) * float(np.dot(matrices, matrices))
        return loss + penalty, network.flat_grads.astype(np.float64)

    def print_loss(intermediate_result: OptimizeResult) -> None:
        if mlp.verbose:
            print(f"loss = {intermediate_result.fun:.8f}")

    found: Any = minimize(
        loss_and_gradient,
        network.flat.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=print_loss,
        options={"maxfun": mlp.max_fun, "maxiter": mlp.max_iter, "gtol": mlp.tol},
    )
    network.flat[:] = found.x
    mlp.loss_, mlp.n_iter_ = float(found.fun), min(int(found.nit), mlp.max_iter)
    if found.status != 0:
        warnings.warn(
            f"{type(mlp).__name__}: lbfgs ended before it converged, after {found.nit} iterations and "
            f"{found.nfev} calls of the loss ({found.message}); raise max_iter or max_fun, or standardise X.",
            ConvergenceWarning,
            stacklevel=caller_level(),
        )
