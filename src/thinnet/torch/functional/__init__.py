"""Functions on tensors, with the bits of their NumPy twins: the key is an argument, or drawn from torch.

`rows.py` has the catalogue; `custom.py` and `learned.py` have the variants outside of it; `attention.py` is
attention.
"""

from thinnet.torch.functional._attention import scaled_dot_product_attention
from thinnet.torch.functional._beyond import (
    drop_head,
    max_pool_dropout,
    patch_dropout,
    r_drop_loss,
    shake_drop,
    targeted_dropout,
)
from thinnet.torch.functional._learned import (
    concrete_dropout,
    concrete_kl,
    sparse_kl,
    standout,
    variational_dropout,
    variational_kl,
)
from thinnet.torch.functional._rows import drop, dropout

__all__ = [
    "concrete_dropout",
    "concrete_kl",
    "drop",
    "drop_head",
    "dropout",
    "max_pool_dropout",
    "patch_dropout",
    "r_drop_loss",
    "scaled_dot_product_attention",
    "shake_drop",
    "sparse_kl",
    "standout",
    "targeted_dropout",
    "variational_dropout",
    "variational_kl",
]
