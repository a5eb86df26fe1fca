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
        doc="Zeroes weights and divides the others by keep; a first axis of samples gives each its own "
        "weights.",
        usual=0.5,
        helps="Dense layers; the cost is a pass over the weights, or over one copy for each sample.",
        differs="The paper's inference approximates the input of each unit by a normal distribution; here "
        "it is the mean network.",
    ),
    Variant(
        "WeightDrop",
        "weight",
        "...",
        inverted,
        cite="Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018, section 2",
        doc="Zeroes recurrent weights once for all time steps of a sequence.",
        usual=0.5,
        helps="LSTM language models, with the fused cells of a library.",
    ),
    Variant(
        "Mixout",
        "weight",
        "...",
        mixed,
        cite="Lee et al.: Mixout. ICLR 2020, section 3",
        doc="Replaces weights by pretrained ones, passed as other, and scales the others to keep the mean.",
        other="pretrained",
        usual=0.7,
        helps="Fine-tuning a large language model on few rows.",
    ),
    Variant(
        "DARE",
        "weight",
        "...",
        mixed,
        cite="Yu et al.: Language models are super Mario: absorbing abilities from homologous models as a "
        "free lunch. ICML 2024",
        doc="Drops changes of fine-tuned weights and divides the others by keep: the law of Mixout, applied "
        "once, after training; the pretrained weights are passed as other.",
        other="pretrained",
        usual=0.9,
        helps="Merging models that were fine-tuned from the same weights, with `thinnet.dare_merge`.",
    ),
    Variant(
        "DropEdge",
        "input",
        "e 1...",
        unscaled,
        cite="Rong et al.: DropEdge. ICLR 2020, section 4.1",
        doc="Zeroes the weights, or messages, of edges, (edges, …); `thinnet.drop_edges` removes edges.",
        inference="identity",
        usual=0.5,
        helps="Deep graph networks, where node features become alike (over-smoothing).",
        differs="PyTorch Geometric's dropout_edge returns the remaining edges, as drop_edges does.",
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
    Variant(
        "DropMessage",
        "input",
        "e f",
        inverted,
        cite="Fang et al.: DropMessage: unifying random dropping for graph neural networks. AAAI 2023",
        doc="Zeroes entries of the messages along edges, (edges, features), and divides the others by keep.",
        usual=0.3,
        helps="Graph networks: each edge and feature has its own mask, which keeps more information than the "
        "masks of DropEdge and DropNode.",
    ),
)
