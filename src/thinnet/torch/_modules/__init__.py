"""Modules: torch's dropouts with their arguments, and others by the names that people know them by.

`activations.py` has those between layers, `branches.py` those of residual branches, `attention.py` those of
attention, `embeddings.py` those of tokens, `recurrent.py` cells, `weights.py` what drops weights and
`learned.py` what learns its rate.
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
