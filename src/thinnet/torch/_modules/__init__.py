"""Modules: torch's dropouts with torch's arguments, and others under their usual names.

`activations` holds the modules between layers, `branches` those of residual branches, `attention` those of
attention, `embeddings` those of tokens, `recurrent` cells and layers, `weights` the wrappers that drop
weights, and `learned` the modules that learn or compute their rates.
"""

from thinnet.torch._modules.activations import (
    AlphaDropout,
    Drop,
    DropBlock2d,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
    GaussianDropout,
    LockedDropout,
    MaxPoolDropout2d,
)
from thinnet.torch._modules.attention import DropHead, DropKey
from thinnet.torch._modules.branches import DropPath, ShakeDrop, StochasticDepth
from thinnet.torch._modules.embeddings import EmbeddingDropout, PatchDropout
from thinnet.torch._modules.learned import (
    ConcreteDropout,
    SparseVariationalConv2d,
    SparseVariationalLinear,
    Standout,
    VariationalLinear,
)
from thinnet.torch._modules.recurrent import VariationalLSTM, ZoneoutGRUCell, ZoneoutLSTMCell
from thinnet.torch._modules.weights import DropConnect, TargetedDropout, WeightDrop

__all__ = [
    "AlphaDropout",
    "ConcreteDropout",
    "Drop",
    "DropBlock2d",
    "DropConnect",
    "DropHead",
    "DropKey",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LockedDropout",
    "MaxPoolDropout2d",
    "PatchDropout",
    "ShakeDrop",
    "SparseVariationalConv2d",
    "SparseVariationalLinear",
    "Standout",
    "StochasticDepth",
    "TargetedDropout",
    "VariationalLSTM",
    "VariationalLinear",
    "WeightDrop",
    "ZoneoutGRUCell",
    "ZoneoutLSTMCell",
]
