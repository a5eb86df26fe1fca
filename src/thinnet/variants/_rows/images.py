"""Variants for feature maps, (n, channels, …)."""

from thinnet.variants._law import alpha, inverted
from thinnet.variants._variant import Variant

__all__ = ["ROWS"]

_TOMPSON = (
    "Tompson et al.: Efficient object localization using convolutional networks. CVPR 2015, section 3.2"
)
_GHIASI = "Ghiasi et al.: DropBlock. NeurIPS 2018, section 3"
_MAPS = {1: "n c w", 2: "n c h w", 3: "n c d h w"}
_SIDES = {1: "runs", 2: "squares", 3: "cubes"}
_TIMM = (
    "timm and torchvision place blocks only inside the map, so corners are dropped least; timm's fast mode "
    "begins them everywhere with the chance meant for the inside, and at rate 0.1 and block 7 drops 0.21 "
    "of a 14 x 14 map and 0.62 of an 8 x 8 map. They divide by the share that the batch kept, so a shard "
    "changes the result."
)


def _channels(axes: int) -> Variant:
    return Variant(
        f"Dropout{axes}d",
        "activation",
        " ".join(["n", "c", *("1" * axes)]),
        inverted,
        cite=_TOMPSON,
        doc="Zeroes whole channels of a sample and divides the others by keep.",
        usual=0.2,
        helps="Convolutions: a single dropped pixel would leak through its correlated neighbours.",
        differs="PyTorch also takes arrays without the first axis; here the pattern fixes the number of "
        "axes.",
    )


def _blocks(axes: int, *, shared: bool) -> Variant:
    return Variant(
        f"{'Shared' if shared else ''}DropBlock{axes}d",
        "activation",
        _MAPS[axes].replace("c", "1") if shared else _MAPS[axes],
        inverted,
        cite=f"{_GHIASI} ({'one mask for all channels' if shared else 'a mask for each channel'})",
        doc=f"Zeroes {_SIDES[axes]} of a feature map{', the same in all channels' if shared else ''}, so "
        "that a dropped entry cannot be guessed from its neighbours, and divides the rest by keep.",
        block=(7,) * axes,
        usual=0.1,
        helps="Late convolutions of large images; the paper raises the rate from 0 during training.",
        differs=_TIMM,
    )


ROWS = (
    *map(_channels, (1, 2, 3)),
    Variant(
        "FeatureAlphaDropout",
        "activation",
        "n c 1 1...",
        alpha,
        cite="Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, section 2; by channels as in "
        "Tompson et al., CVPR 2015",
        doc="AlphaDropout of whole channels.",
        other="one",
        inference="identity",
        usual=0.1,
        helps="Convolutions with SELU.",
    ),
    *(_blocks(axes, shared=shared) for shared in (False, True) for axes in (1, 2, 3)),
)
