"""Blocks at low rates: the realised rate is reported where it differs from the rate."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import thinnet as tn

KEY = tn.Key(0)


@pytest.mark.parametrize(
    ("variant", "shape", "block", "rate", "realised"),
    [
        ("DropBlock2d", (1, 1, 20, 20), 7, 0.001, "0.00075"),
        ("DropBlock3d", (1, 1, 9, 9, 9), 7, 0.001, "0"),
        ("DropBlock2d", (1, 1, 20, 20), 14, 0.0012, "0"),
    ],
)
def test_a_coarse_rate_is_a_warning_with_both_rates(
    variant: str, shape: tuple[int, ...], block: int, rate: float, realised: str
) -> None:
    with pytest.warns(
        UserWarning, match=f"^{variant}: blocks of .* realise rate {realised} instead of {rate}; use"
    ):
        y = tn.drop(variant, np.ones(shape), rate, block=block, key=KEY)
    assert y.shape == shape


def test_ordinary_rates_give_no_warning() -> None:
    x = np.ones((1, 1, 20, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rate in (0.0, 0.05, 0.1, 0.25, 0.5, 1.0):
            tn.drop("DropBlock2d", x, rate, key=KEY)
        tn.drop("Dropout", x, 1e-9, key=KEY)
