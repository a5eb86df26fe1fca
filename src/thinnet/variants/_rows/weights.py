"""Variants for weights, and for graphs."""

from thinnet.variants._law import inverted, mixed, unscaled
from thinnet.variants._variant import Variant

__all__ = ["ROWS"]

_WAN = "Wan et al.: Regularization of neural networks using DropConnect. ICML 2013, section 3"

ROWS = (
    Variant(
        "DropConnect",
        "weight",
        "...",
        inverted,
        cite=_WAN,
        doc="Zeroes weights and divides the others by keep; with a first axis of samples, for each of them.",
        usual=0.5,
        helps="Dense layers; costs a pass over the weights, or over one copy for each sample.",
        differs="The paper infers by a normal approximation of each unit's input; here it is the mean "
        "network.",
    ),
    Variant(
        "WeightDrop",
        "weight",
        "...",
        inverted,
        cite="Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018, section 2",
        doc="Zeroes recurrent weights once for all steps of time.",
        usual=0.5,
        helps="LSTM language models: no cell has to be written anew.",
    ),
    Variant(
        "Mixout",
        "weight",
        "...",
        mixed,
        cite="Lee et al.: Mixout. ICLR 2020, section 3",
        doc="Puts pretrained weights, which are handed in, in place of some, and scales so that the "
        "mean stays.",
        other="pretrained",
        usual=0.7,
        helps="Fine-tuning a large language model on few rows.",
    ),
    Variant(
        "DropEdge",
        "input",
        "e 1...",
        unscaled,
        cite="Rong et al.: DropEdge. ICLR 2020, section 4.1",
        doc="Zeroes the weights, or messages, of edges, (edges, …); `thinnet.drop_edges` removes them.",
        inference="identity",
        usual=0.5,
        helps="Deep graph networks, which smooth everything.",
        differs="PyTorch Geometric's dropout_edge returns the edges that stay, as drop_edges does.",
    ),
    Variant(
        "DropNode",
        "input",
        "v 1...",
        inverted,
        cite="Feng et al.: Graph random neural networks. NeurIPS 2020, section 3.1",
        doc="Zeroes all features of a node, (nodes, …), and divides the others by keep.",
        usual=0.5,
        helps="Semi-supervised learning on graphs.",
    ),
)
