"""Floor 4: NumPy networks that train with dropout, by hand-written forward and backward passes.

`layers.py` holds the forward/backward pairs, `dropout.py` the one that drops, `losses.py` the losses from
logits, `optimizers.py` the updates, `training.py` the one training loop, `saving.py` the file format,
`network.py` ties them; `conv.py`, `pool.py`, `norm.py` and `residual.py` are layers for images.
"""

from thinnet.net.connect import DropConnect
from thinnet.net.conv import Conv2d, conv2d, conv2d_naive
from thinnet.net.dropout import Dropout, Gate
from thinnet.net.layers import GELU, SELU, Dense, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from thinnet.net.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    PoissonDeviance,
    SoftmaxCrossEntropy,
    SquaredError,
)
from thinnet.net.models import three_layer_convnet, vgg
from thinnet.net.network import Network
from thinnet.net.norm import BatchNorm
from thinnet.net.optimizers import SGD, Adam, AdamW, Optimizer
from thinnet.net.pool import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d
from thinnet.net.residual import Residual
from thinnet.net.training import Epoch, History

__all__ = [
    "GELU",
    "SELU",
    "SGD",
    "AbsoluteError",
    "Adam",
    "AdamW",
    "AvgPool2d",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Conv2d",
    "Dense",
    "DropConnect",
    "Dropout",
    "Epoch",
    "Flatten",
    "Gate",
    "GlobalAvgPool2d",
    "History",
    "Huber",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MaxPool2d",
    "Network",
    "Optimizer",
    "PoissonDeviance",
    "ReLU",
    "Residual",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
    "conv2d",
    "conv2d_naive",
    "three_layer_convnet",
    "vgg",
]
