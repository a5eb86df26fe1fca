"""Floor 4: NumPy networks that train with dropout, by hand-written forward and backward passes.

`layers.py` holds the forward/backward pairs, `losses.py` the losses from logits, `optimizers.py` the
updates, `training.py` the one training loop, `saving.py` the file format, `network.py` ties them.
"""

from thinnet.net.layers import GELU, SELU, Dense, Dropout, Gate, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from thinnet.net.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    PoissonDeviance,
    SoftmaxCrossEntropy,
    SquaredError,
)
from thinnet.net.network import Network
from thinnet.net.optimizers import SGD, Adam, AdamW, Optimizer
from thinnet.net.training import Epoch, History

__all__ = [
    "GELU",
    "SELU",
    "SGD",
    "AbsoluteError",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Dense",
    "Dropout",
    "Epoch",
    "Gate",
    "History",
    "Huber",
    "Layer",
    "LeakyReLU",
    "Loss",
    "Network",
    "Optimizer",
    "PoissonDeviance",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
]
