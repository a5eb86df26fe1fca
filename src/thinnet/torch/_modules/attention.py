"""Modules for attention: whole heads after it, keys before its softmax."""

from __future__ import annotations

from thinnet.torch._modules.activations import Drop
from thinnet.torch._modules.base import Rated, Tensor, traceable
from thinnet.torch.functional import drop_head

__all__ = ["DropHead", "DropKey"]


class DropHead(Rated):
    """Drops heads of each sample, (n, heads, tokens, features), and multiplies the others by heads / kept.

    References
    ----------
    Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of EMNLP 2020,
    section 3.
    """

    variant = "DropHead"

    def __init__(self, p: float = 0.2) -> None:
        super().__init__(p)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return input with heads dropped while training, input itself in evaluation."""
        if self.training and self.rests:
            return input
        return drop_head(input, self.p, key=self.key() if self.training else None, training=self.training)


class DropKey(Drop):
    """Sets attention logits to the lowest finite number before the softmax, so that weights sum to 1.

    References
    ----------
    Li et al.: DropKey. CVPR 2023, section 3.2.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__("DropKey", p)
