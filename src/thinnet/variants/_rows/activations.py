"""Variants for units, whatever the shape of an array."""

from thinnet.variants._law import alpha, inverted, unscaled
from thinnet.variants._tables import gaussian, log_normal, uniform
from thinnet.variants._variant import Variant

__all__ = ["ROWS"]

_SRIVASTAVA = "Srivastava et al.: Dropout. JMLR 15, 2014"
_HINTON = "Hinton et al.: Improving neural networks by preventing co-adaptation. arXiv:1207.0580, 2012"

ROWS = (
    Variant(
        "Dropout",
        "activation",
        "...",
        inverted,
        cite=f"{_SRIVASTAVA}, section 10 (inverted scaling)",
        doc="Zeroes entries and divides the others by keep, so that inference changes nothing.",
        usual=0.5,
        helps="Wide dense layers that fit the training rows exactly.",
        differs="PyTorch stores the mask, and returns NaN for 0 * inf; here backward draws the mask again, "
        "and 0 * inf is 0.",
    ),
    Variant(
        "VanillaDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_HINTON}; {_SRIVASTAVA}, section 4",
        doc="Zeroes entries in training; inference multiplies by keep instead.",
        usual=0.5,
        helps="Reproducing early papers; at the same learning rate it trains slower than Dropout.",
    ),
    Variant(
        "UnscaledDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_SRIVASTAVA}, section 4 (the error of an unscaled mean network)",
        doc="Zeroes entries and never scales, so the mean network gets larger activations than in training.",
        inference="identity",
        usual=0.5,
        helps="Demonstrations of why dropout is scaled.",
    ),
    Variant(
        "GaussianDropout",
        "activation",
        "...",
        gaussian,
        cite=f"{_SRIVASTAVA}, section 10 (multiplicative Gaussian noise)",
        doc="Multiplies by noise from N(1, rate / keep), which has the mean and variance of dropout.",
        usual=0.5,
        helps="Activations that must not be zero, as before a logarithm, or quantised ones.",
        differs="Keras draws normal numbers in floating point; here they are quantiles from a table, with "
        "the same bits on every device.",
    ),
    Variant(
        "UniformDropout",
        "activation",
        "...",
        uniform,
        cite="Shen et al.: Continuous dropout. IEEE TNNLS 29, 2018, section III",
        doc="Multiplies by uniform noise with mean 1 and the variance of dropout.",
        usual=0.5,
        helps="The same layers as GaussianDropout; its gains are bounded.",
        differs="The paper draws from (0, 1) and divides by 1/2, which is rate 1/4 here.",
    ),
    Variant(
        "LogNormalDropout",
        "activation",
        "...",
        log_normal,
        cite="Achille, Soatto: Information dropout. IEEE TPAMI 40, 2018, section 5 (the noise, at a "
        "fixed rate)",
        doc="Multiplies by log-normal noise with mean 1 and the variance of dropout, so signs stay.",
        usual=0.3,
        helps="Positive activations, after a rectifier or softplus.",
        differs="In the paper the variance is learned from each input.",
    ),
    Variant(
        "AlphaDropout",
        "activation",
        "...",
        alpha,
        cite="Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, section 2",
        doc="Sets entries to the limit of SELU at -infinity, then scales and shifts to keep mean 0 and "
        "variance 1.",
        other="one",
        inference="identity",
        usual=0.1,
        helps="Activations after SELU, whose normalisation zeros would destroy.",
    ),
    Variant(
        "UnitDropout",
        "activation",
        "1 f",
        inverted,
        cite=f"{_HINTON} (one thinned network for each mini-batch)",
        doc="Drops units for all rows of a mini-batch, which train one thinned network.",
        usual=0.5,
        helps="Speed, as dropped units need not be computed; gradients vary more than with a mask for each "
        "row.",
    ),
)
