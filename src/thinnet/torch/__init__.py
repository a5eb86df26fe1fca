"""Dropout for PyTorch with the bits of the NumPy library; `import thinnet.torch as tt`.

`functional` holds the functions, `callbacks` those for trainers of other packages; the modules and the tools
for whole models (`replace`, `restore`, `seed`, `step`, `state`, `schedule`, `summary`) are here. Imports go
down the floors `callbacks`, `_models`, `_modules`, `flex`, `functional`, `_streams`, `_ops`, `_apply`,
`_internals`. Nothing is compiled against torch.
"""

from thinnet.errors import need

need("torch", extra="torch", owner="thinnet.torch")

from thinnet.torch import callbacks, flex, functional
from thinnet.torch._models.replace import replace, restore
from thinnet.torch._models.schedule import schedule
from thinnet.torch._models.seeding import seed, step
from thinnet.torch._models.state import state
from thinnet.torch._models.summary import summary
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
from thinnet.torch._ops.memory import get_kept_bytes, set_kept_bytes
from thinnet.torch._streams.shards import shard

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
    "callbacks",
    "flex",
    "functional",
    "get_kept_bytes",
    "replace",
    "restore",
    "schedule",
    "seed",
    "set_kept_bytes",
    "shard",
    "state",
    "step",
    "summary",
]
