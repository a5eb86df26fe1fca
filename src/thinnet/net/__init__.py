"""NumPy networks that train with dropout, by forward and backward passes written by hand.

A `Network` is a sequence of layers with a loss; `fit` trains it with an optimiser, `thinned` draws one
thinned network, `save` and `load` keep it in a file.

Layers: `Dense`, `Conv2d`, the activations, `Dropout`, `DropConnect`, `Gate`, `BatchNorm`, the pools,
`Flatten` and `Residual`. Optimisers: `SGD`, `Adam`, `AdamW`. Each loss maps logits to a value and its
gradient. `conv2d_naive` is the definition of `conv2d`.
"""

from thinnet.net._connect import DropConnect
from thinnet.net._conv import Conv2d, conv2d, conv2d_naive
from thinnet.net._dropout import Dropout, Gate
from thinnet.net._layers import GELU, SELU, Dense, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from thinnet.net._losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    PoissonDeviance,
    SoftmaxCrossEntropy,
    SquaredError,
)
from thinnet.net._models import three_layer_convnet, vgg
from thinnet.net._network import Network
from thinnet.net._norm import BatchNorm
from thinnet.net._optimizers import SGD, Adam, AdamW, Optimizer
from thinnet.net._pool import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d
from thinnet.net._residual import Residual
from thinnet.net._training import Epoch, History

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
