"""Variants that are no row of the catalogue, one file each, and what keeps them out of it.

A row is `gain * x + shift * other` with a law of the rate alone. Here the rate is learned or computed from x,
what stands in for an entry is, what is dropped is removed, or backward is not forward's derivative.
Those that learn have their laws, means and penalties here, and no parameters.
"""

from types import MappingProxyType

from thinnet.variants.custom import (
    concrete,
    cut_out,
    edges,
    heads,
    maxpool,
    patch,
    rdrop,
    shake_out,
    shakedrop,
    sparse,
    stand_out,
    targeted,
    variational,
)
from thinnet.variants.custom.concrete import concrete_dropout, concrete_kl
from thinnet.variants.custom.cut_out import cutout
from thinnet.variants.custom.edges import drop_edges
from thinnet.variants.custom.entry import Custom
from thinnet.variants.custom.heads import drop_head
from thinnet.variants.custom.maxpool import max_pool_dropout
from thinnet.variants.custom.patch import patch_dropout
from thinnet.variants.custom.rdrop import r_drop
from thinnet.variants.custom.shake_out import shakeout
from thinnet.variants.custom.shakedrop import shake_drop
from thinnet.variants.custom.sparse import sparse_kl, sparse_prune
from thinnet.variants.custom.stand_out import standout
from thinnet.variants.custom.targeted import targeted_dropout
from thinnet.variants.custom.variational import local_noise, variational_dropout, variational_kl

__all__ = [
    "CUSTOM",
    "Custom",
    "concrete_dropout",
    "concrete_kl",
    "cutout",
    "drop_edges",
    "drop_head",
    "local_noise",
    "max_pool_dropout",
    "patch_dropout",
    "r_drop",
    "shake_drop",
    "shakeout",
    "sparse_kl",
    "sparse_prune",
    "standout",
    "targeted_dropout",
    "variational_dropout",
    "variational_kl",
]

_FILES = (
    concrete,
    variational,
    sparse,
    stand_out,
    targeted,
    maxpool,
    shakedrop,
    shake_out,
    patch,
    rdrop,
    cut_out,
    heads,
    edges,
)

CUSTOM = MappingProxyType({file.ROW.name: file.ROW for file in _FILES})
"""Every one of them by its name."""
