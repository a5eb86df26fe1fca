"""Rates that are rounded: a warning where the realised rate differs from the rate."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import thinnet as tn
from thinnet.variants import _rounding

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
        tn.drop("Dropout", x, 0.00077, key=KEY)
        tn.drop("Dropout", x, 0.99923, key=KEY)
        tn.drop("GaussianDropout", x, 1e-9, key=KEY)  # its rate is not rounded


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.99999, "0.99998474, a multiple of 1/65536, so keep is 1.53e-05 instead of 1e-05; use a lower"),
        (0.999999, "1, a multiple of 1/65536, so keep is 0 instead of 1e-06; use a lower"),
        (1e-6, "0, a multiple of 1/65536; use a higher"),
    ],
)
def test_a_rate_that_is_rounded_by_over_one_percent_warns_once(
    rate: float, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rounding, "_warned", set())
    with pytest.warns(
        UserWarning, match=re.escape(f"Dropout: rate {rate:.8g} is rounded to {text}")
    ) as found:
        tn.dropout(np.ones(8), rate, key=KEY)
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tn.dropout(np.ones(8), rate, key=KEY)
