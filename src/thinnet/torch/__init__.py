"""Floor 4: dropout for PyTorch, the bits of the NumPy library; `import thinnet.torch as tt`.

`op.py` is the one operator under everything, `functional.py` its functions, `modules.py` the classes, some of
which mirror torch's, and `replace.py` puts those into a model. Nothing is compiled against torch.
"""

from thinnet.errors import need

need("torch", extra="torch", owner="thinnet.torch")

from thinnet.torch import functional  # noqa: E402 - torch is asked for first
from thinnet.torch.modules import (  # noqa: E402 - torch is asked for first
    AlphaDropout,
    Drop,
    DropBlock2d,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    GaussianDropout,
    LockedDropout,
)
from thinnet.torch.replace import replace, restore  # noqa: E402 - torch is asked for first

__all__ = [
    "AlphaDropout",
    "Drop",
    "DropBlock2d",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LockedDropout",
    "functional",
    "replace",
    "restore",
]
