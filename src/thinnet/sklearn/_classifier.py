"""`MLPClassifier`: scikit-learn's, with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from thinnet import net
from thinnet.errors import InputError
from thinnet.sklearn import _parameters as parameters
from thinnet.sklearn._base import MLP, check_partial_fit
from thinnet.sklearn._losses import CrossEntropy, Logistic

if TYPE_CHECKING:
    from typing import Self

__all__ = ["MLPClassifier"]

Array: TypeAlias = NDArray[Any]


@parameters.documented
class MLPClassifier(ClassifierMixin, MLP):
    """scikit-learn's `MLPClassifier`, with dropout.

    Minimises cross-entropy plus an L2 penalty. With `dropout=0` and the same `random_state` the weights
    equal those of `sklearn.neural_network.MLPClassifier`, to rounding. It has all parameters, attributes and
    methods of that class.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from thinnet.sklearn import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = MLPClassifier((256,), dropout=0.5, early_stopping=True, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True

    Differs from scikit-learn: the training loss is that of thinned networks, and may exceed the validation
    loss; a model fitted on float32 rows predicts in float32; a fit that raises an error leaves the model
    unchanged; True and False are not accepted as numbers.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014. Glorot, Bengio: Understanding the difficulty of training deep
    feedforward neural networks. AISTATS 2010 (first weights). Kingma, Ba: Adam. ICLR 2015.
    """

    loss = "log_loss"
    classes_: Array
    _label_binarizer: Any

    def __init__(
        self,
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
        if not hasattr(self, "classes_") or (first and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y), incremental=incremental)
        coded = np.asarray(self._label_binarizer.transform(y))
        several = self._label_binarizer.y_type_ == "multiclass"
        self.out_activation_ = "softmax" if several else "logistic"
        self.n_outputs_ = coded.shape[1]
        return coded.argmax(axis=1) if several else coded.astype(dtype)

    def _check_classes(self, seen: Array, *, incremental: bool) -> None:
        new = np.setdiff1d(seen, self.classes_)
        if len(new):
            raise InputError(
                f"MLPClassifier: y has the new classes {new.tolist()}, but the fitted classes are "
                f"{self.classes_.tolist()}; call fit to train on other classes."
            )
        if not incremental and len(seen) < len(self.classes_):
            raise InputError(
                f"MLPClassifier: warm_start needs the classes of the previous fit, {self.classes_.tolist()}, "
                f"but y has {seen.tolist()}; set warm_start=False."
            )

    def _loss(self) -> net.Loss:
        return CrossEntropy() if self.out_activation_ == "softmax" else Logistic()

    def _predictions(self, z: Array) -> Array:
        # A logit of 0 is a probability of 1/2.
        return self._label_binarizer.inverse_transform(z[:, 0] if self.n_outputs_ == 1 else z, threshold=0.0)

    def _score(self, x: Any, y: Any, weight: Array | None) -> float:
        z = self.network_.compute_logits(x)
        if not np.isfinite(z).all():
            return float("nan")
        return float(accuracy_score(y, self._predictions(z), sample_weight=weight))

    def _sampled(self, z: Array) -> Array:
        p = self.network_.loss.link(z)
        return np.concatenate([1 - p, p], axis=1) if self.n_outputs_ == 1 else p

    @available_if(check_partial_fit)
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on some rows.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array_like, optional
            All classes of all calls; required in the first call.

        Returns
        -------
        self

        Raises
        ------
        InputError
            A parameter outside its range, `early_stopping`, or classes that the first call did not list.
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("MLPClassifier: classes must be passed on the first call to partial_fit.")
        return self._fit_once(X, y, sample_weight, classes)

    def _set_classes(self, y: Any, classes: Any) -> None:
        if classes is None:
            return
        names = unique_labels(classes)
        if not hasattr(self, "classes_"):
            labelled = str(type_of_target(y)).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if labelled else names)
            self.classes_ = names
        elif not np.array_equal(names, self.classes_):
            raise ValueError(
                f"MLPClassifier: classes must be those of the first call, {self.classes_.tolist()}, "
                f"got {names.tolist()}."
            )

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the mean network.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, features)
            Rows.

        Returns
        -------
        ndarray, shape (n, classes)
            In the order of `classes_`; for multilabel targets, the probability of each label.
        """
        return self._sampled(self.network_.compute_logits(self._rows(X)))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`; -inf where that is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
