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
        differs="PyTorch keeps the mask and gives NaN for 0 * inf; here the mask is drawn again, and 0 is 0.",
    ),
    Variant(
        "VanillaDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_HINTON}; {_SRIVASTAVA}, section 4",
        doc="Zeroes entries in training; inference multiplies by keep instead.",
        usual=0.5,
        helps="Reading old papers and books; at one learning rate it trains slower than Dropout.",
    ),
    Variant(
        "UnscaledDropout",
        "activation",
        "...",
        unscaled,
        cite=f"{_SRIVASTAVA}, section 4 (what goes wrong without scaling)",
        doc="Zeroes entries and never scales: the mean network sees activations it was not trained on.",
        inference="identity",
        usual=0.5,
        helps="Showing why dropout is scaled.",
    ),
    Variant(
        "GaussianDropout",
        "activation",
        "...",
        gaussian,
        cite=f"{_SRIVASTAVA}, section 10 (multiplicative Gaussian noise)",
        doc="Multiplies by N(1, rate / keep): the mean and variance of dropout, and nothing is exactly zero.",
        usual=0.5,
        helps="Where zeros hurt, as before a logarithm or with quantised activations.",
        differs="Keras draws a fresh normal number; here it is a quantile from a table, with the same "
        "bits everywhere.",
    ),
    Variant(
        "UniformDropout",
        "activation",
        "...",
        uniform,
        cite="Shen et al.: Continuous dropout. IEEE TNNLS 29, 2018, section III",
        doc="Multiplies by an even number around 1 with the variance of dropout.",
        usual=0.5,
        helps="As GaussianDropout; its gains are bounded.",
        differs="The paper draws from (0, 1) and divides by 1/2, which is rate 1/4 here.",
    ),
    Variant(
        "LogNormalDropout",
        "activation",
        "...",
        log_normal,
        cite="Achille, Soatto: Information dropout. IEEE TPAMI 40, 2018, section 5 (the noise, at a "
        "fixed rate)",
        doc="Multiplies by a log-normal number of mean 1 with the variance of dropout: no sign ever changes.",
        usual=0.3,
        helps="Positive activations, behind a rectifier or softplus.",
        differs="In the paper the variance is learned from each input.",
    ),
    Variant(
        "AlphaDropout",
        "activation",
        "...",
        alpha,
        cite="Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, section 2",
        doc="Sets entries to what SELU saturates at, and scales and shifts so that mean 0 and variance "
        "1 stay.",
        other="one",
        inference="identity",
        usual=0.1,
        helps="Behind SELU, where zeros would undo the normalisation.",
    ),
    Variant(
        "UnitDropout",
        "activation",
        "1 f",
        inverted,
        cite=f"{_HINTON} (one thinned network for each mini-batch)",
        doc="Drops units for all rows of a mini-batch: one thinned network, trained on all of them.",
        usual=0.5,
        helps="Skipping dropped units altogether; gradients vary more than with a mask for each row.",
    ),
)
