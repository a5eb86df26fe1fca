"""Variants for branches of a network, layers, and groups of inputs."""

from thinnet.variants._law import inverted, unscaled
from thinnet.variants._tables import shake
from thinnet.variants._variant import Variant

__all__ = ["ROWS"]

_HUANG = "Huang et al.: Deep networks with stochastic depth. ECCV 2016"

ROWS = (
    Variant(
        "DropPath",
        "branch",
        "n 1...",
        inverted,
        cite=f"{_HUANG}; per sample as in Larsson et al.: FractalNet. ICLR 2017",
        doc="Zeroes a branch for some samples and divides it by keep for the others.",
        usual=0.1,
        helps="Deep residual networks and transformers; the rate grows with depth.",
        differs='timm calls this "drop connect" in EfficientNet.',
    ),
    Variant(
        "StochasticDepth",
        "branch",
        "1...",
        unscaled,
        cite=f"{_HUANG}, section 3",
        doc="Drops a branch for the whole mini-batch; inference multiplies it by keep.",
        usual=0.2,
        helps="Very deep residual networks: a dropped branch need not be computed.",
        differs='torchvision\'s StochasticDepth(mode="batch") divides by keep in training instead.',
    ),
    Variant(
        "LayerDrop",
        "branch",
        "1...",
        unscaled,
        cite="Fan et al.: Reducing transformer depth on demand with structured dropout. ICLR 2020, section 3",
        doc="Drops whole layers and never scales, so that layers can be removed after training.",
        inference="identity",
        usual=0.2,
        helps="Transformers that will be pruned to fewer layers.",
    ),
    Variant(
        "ShakeShake",
        "branch",
        "n 1...",
        shake,
        cite="Gastaldi: Shake-shake regularization. arXiv:1705.07485, 2017, section 1",
        doc="Mixes two branches with weights g and 1 - g for each sample; backward draws g under another "
        "key.",
        other="twin",
        usual=1.0,
        helps="Residual networks with two branches and long training.",
        differs="The rate is our addition: it narrows g around 1/2; the paper has rate 1.",
    ),
    Variant(
        "ModalityDropout",
        "input",
        "n m 1...",
        inverted,
        cite="Neverova et al.: ModDrop: adaptive multi-modal gesture recognition. IEEE TPAMI 38, 2016, "
        "section 4.2",
        doc="Drops whole groups of inputs, (n, groups, …), like sensors that fail.",
        usual=0.2,
        helps="Inputs from several sources, one of which may be missing.",
    ),
)
