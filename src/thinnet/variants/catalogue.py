"""The catalogue: every variant, one row each."""

from __future__ import annotations

from types import MappingProxyType

from thinnet.errors import InputError
from thinnet.variants.law import gaussian, inverted, unscaled
from thinnet.variants.variant import Variant

__all__ = ["CATALOGUE", "find"]

_SRIVASTAVA = "Srivastava et al.: Dropout. JMLR 15, 2014"
_HINTON = "Hinton et al.: Improving neural networks by preventing co-adaptation. arXiv:1207.0580, 2012"

_ROWS = (
    Variant(
        "Dropout",
        "activation",
        "...",
        inverted,
        cite=f"{_SRIVASTAVA}, section 10 (inverted scaling)",
        doc="Zeroes entries and divides the others by keep, so that inference changes nothing.",
    ),
    Variant(
        "VanillaDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_HINTON}; {_SRIVASTAVA}, section 4",
        doc="Zeroes entries in training; inference multiplies by keep instead.",
    ),
    Variant(
        "UnscaledDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_SRIVASTAVA}, section 4 (what goes wrong without scaling)",
        doc="Zeroes entries and never scales: the mean network sees activations it was not trained on.",
        inference="identity",
    ),
    Variant(
        "GaussianDropout",
        "activation",
        "...",
        gaussian,
        cite=f"{_SRIVASTAVA}, section 10 (multiplicative Gaussian noise)",
        doc="Multiplies by N(1, rate / keep): the mean and variance of dropout, and nothing is exactly zero.",
    ),
    Variant(
        "Dropout2d",
        "activation",
        "n c 1 1",
        inverted,
        cite="Tompson et al.: Efficient object localization using convolutional networks. CVPR 2015, "
        "section 3.2",
        doc="Zeroes whole channels of a sample and divides the others by keep: neighbours say the same.",
    ),
    Variant(
        "DropBlock2d",
        "activation",
        "n c h w",
        inverted,
        cite="Ghiasi et al.: DropBlock. NeurIPS 2018, section 3 (a mask for each channel)",
        doc="Zeroes squares of a feature map and divides the rest by keep: what neighbours would give away "
        "goes with it.",
        block=(7, 7),
    ),
    Variant(
        "DropPath",
        "branch",
        "n 1...",
        inverted,
        cite="Huang et al.: Deep networks with stochastic depth. ECCV 2016; per sample as in Larsson et al.: "
        "FractalNet. ICLR 2017",
        doc="Zeroes a branch for whole samples and divides it by keep for the others.",
    ),
)

CATALOGUE = MappingProxyType({row.name: row for row in _ROWS})
"""Every variant by its name."""


def find(name: str) -> Variant:
    """Return the variant of a name.

    Raises
    ------
    InputError
        No such variant; the nearest name is offered.

    Examples
    --------
    >>> find("GaussianDropout").cite
    'Srivastava et al.: Dropout. JMLR 15, 2014, section 10 (multiplicative Gaussian noise)'
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    import difflib

    near = difflib.get_close_matches(str(name), CATALOGUE, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]!r}?" if near else "thinnet.CATALOGUE has them all."
    raise InputError(f"variant: there is no {name!r} in the catalogue; {remedy}")
