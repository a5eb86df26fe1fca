"""Floor 4: dropout for PyTorch, the bits of the NumPy library; `import thinnet.torch as tt`.

`op.py` is the one operator under everything and `lanes.py` what is drawn without it; `keys.py`, `streams.py`
and `shards.py` say where a key comes from and which part of an array a tensor is. `functional` has functions,
`modules` classes, and `replace.py`, `schedule.py` and `summary.py` are for whole models. Nothing is compiled
against torch.
"""

from thinnet.errors import need

need("torch", extra="torch", owner="thinnet.torch")

from thinnet.torch import functional
from thinnet.torch._models.replace import replace, restore
from thinnet.torch._models.schedule import schedule
from thinnet.torch._models.summary import summary
from thinnet.torch._modules import (
    AlphaDropout,
    ConcreteDropout,
    Drop,
    DropBlock2d,
    DropConnect,
    DropHead,
    DropKey,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    EmbeddingDropout,
    FeatureAlphaDropout,
    GaussianDropout,
    LockedDropout,
    MaxPoolDropout2d,
    PatchDropout,
    ShakeDrop,
    SparseVariationalConv2d,
    SparseVariationalLinear,
    Standout,
    StochasticDepth,
    TargetedDropout,
    VariationalLinear,
    VariationalLSTM,
    WeightDrop,
    ZoneoutGRUCell,
    ZoneoutLSTMCell,
)
from thinnet.torch._ops.memory import get_kept_bytes, set_kept_bytes
from thinnet.torch._streams.shards import shard
from thinnet.torch._streams.streams import seed, step

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
    "functional",
    "get_kept_bytes",
    "replace",
    "restore",
    "schedule",
    "seed",
    "set_kept_bytes",
    "shard",
    "step",
    "summary",
]
