"""Modules for residual branches: they drop a branch before it is added to its shortcut."""

from __future__ import annotations

from thinnet._checks import check_choice
from thinnet._core.random import Window
from thinnet.torch._modules.activations import Drop
from thinnet.torch._modules.base import Rated, Tensor, traceable
from thinnet.torch.functional import drop, shake_drop

__all__ = ["DropPath", "ShakeDrop", "StochasticDepth"]


class DropPath(Drop):
    """Zeroes a branch for whole samples, and divides it by keep for the others.

    References
    ----------
    Huang et al.: Deep networks with stochastic depth. ECCV 2016; Larsson et al.: FractalNet. ICLR 2017.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__("DropPath", p)


class StochasticDepth(Rated):
    """Zeroes a branch for the mini-batch or for samples, and divides it by keep otherwise.

    torchvision's: training divides by keep, and evaluation returns x. The row StochasticDepth of the
    catalogue is the paper's, which multiplies by keep in evaluation instead.

    Parameters
    ----------
    p : float
        Chance that a branch is dropped, in [0, 1].
    mode : {"batch", "row"}
        One draw for the mini-batch, or one for each sample, as DropPath does.

    Raises
    ------
    InputError
        A rate outside [0, 1], or another mode.

    Examples
    --------
    >>> StochasticDepth(0.2, "row")
    StochasticDepth(p=0.2, mode='row')

    References
    ----------
    Huang et al.: Deep networks with stochastic depth. ECCV 2016, section 3.
    """

    variant = "StochasticDepth"

    def __init__(self, p: float, mode: str = "batch") -> None:
        super().__init__(p)
        self.mode: str = check_choice("StochasticDepth", "mode", mode, ("batch", "row"))

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the branch, zeroed for samples or for the mini-batch while training, else unchanged."""
        if not self.training or self.rests:
            return input
        if self.mode == "row":
            return drop("DropPath", input, self.rate, key=self.key())
        one = input.unsqueeze(0)  # the mini-batch counts as one sample, in every shard
        window = Window.whole(tuple(one.shape))
        return drop("DropPath", one, self.rate, key=self.key(), window=window).squeeze(0)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode!r}"


class ShakeDrop(Rated):
    """Multiplies the branch of each sample by 1 or, with chance p, by uniform noise on (-1, 1).

    Backward multiplies the same samples by other noise, uniform on (0, 1). Evaluation multiplies by keep.

    References
    ----------
    Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III.
    """

    variant = "ShakeDrop"

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the branch scaled by random factors while training, by their mean in evaluation."""
        if self.training and self.rests:
            return input
        key = self.key() if self.training else None
        return shake_drop(input, self.p, key=key, training=self.training)
