"""Functions on tensors, with the bits of their NumPy twins: the key is an argument, or drawn from torch.

`drop` and `dropout` apply rows of the catalogue; the others are the variants that need more than a rate. What
NumPy calls `rate` is `p` here, and `weights` is `weight`.
"""

from thinnet.torch.functional._attention import scaled_dot_product_attention
from thinnet.torch.functional._beyond import (
    cutout,
    drop_edges,
    drop_head,
    max_pool_dropout,
    patch_dropout,
    shake_drop,
)
from thinnet.torch.functional._learned import (
    concrete_dropout,
    concrete_kl,
    local_noise,
    sparse_kl,
    standout,
    variational_dropout,
    variational_kl,
)
from thinnet.torch.functional._rows import drop, dropout
from thinnet.torch.functional._samples import multi_sample_dropout, neftune_noise, r_drop
from thinnet.torch.functional._weights import dare_merge, shakeout, sparse_prune, targeted_dropout

__all__ = [
    "concrete_dropout",
    "concrete_kl",
    "cutout",
    "dare_merge",
    "drop",
    "drop_edges",
    "drop_head",
    "dropout",
    "local_noise",
    "max_pool_dropout",
    "multi_sample_dropout",
    "neftune_noise",
    "patch_dropout",
    "r_drop",
    "scaled_dot_product_attention",
    "shake_drop",
    "shakeout",
    "sparse_kl",
    "sparse_prune",
    "standout",
    "targeted_dropout",
    "variational_dropout",
    "variational_kl",
]
