"""thinnet: dropout for NumPy, and one command that tells whether it helps on your data.

`dropout` and `drop` apply a variant of the catalogue to an array, `net` trains NumPy networks with
them, and `python -m thinnet study` runs a study on a table. Importing this needs NumPy alone.
"""

from thinnet import net, variants
from thinnet.errors import DataError, FileError, InputError, MissingPackage, RunError, ThinnetError
from thinnet.random import Key, Stream, Window, lanes
from thinnet.variants import CATALOGUE, drop, dropout, mask

__version__ = "0.1.0"

__all__ = [
    "CATALOGUE",
    "DataError",
    "FileError",
    "InputError",
    "Key",
    "MissingPackage",
    "RunError",
    "Stream",
    "ThinnetError",
    "Window",
    "drop",
    "dropout",
    "lanes",
    "mask",
    "net",
    "variants",
]
