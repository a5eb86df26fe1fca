"""Laws that are tables."""

from __future__ import annotations

import hashlib
import statistics

import numpy as np
import pytest

from thinnet.variants._tables import gaussian, log_normal, normal_table, shake, uniform


def test_the_normal_table_is_antisymmetric_and_has_unit_variance() -> None:
    table = normal_table()
    assert table.dtype == np.float32
    assert np.array_equal(table, -table[::-1])
    assert (np.diff(table) > 0).all()
    assert table.astype(np.float64).var() == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("lane", [0, 1, 1000, 32767, 32768, 50000, 65535])
def test_the_normal_table_holds_quantiles(lane: int) -> None:
    quantile = statistics.NormalDist().inv_cdf((lane + 0.5) / 65536)
    # All are stretched by one factor, which makes up for the tails that 65,536 values cannot have.
    assert normal_table()[lane] == pytest.approx(quantile, rel=1e-4)


def test_the_normal_table_is_pinned() -> None:
    # Every Gaussian mask hangs on these 65,536 numbers.
    digest = hashlib.sha256(normal_table().astype("<f4").tobytes()).hexdigest()
    assert digest == "8babbcaf96568f10165a1eab530c0e5c92d04de96761b6dbb3dadfa94baba37f"


def test_tables_that_are_shared_cannot_be_written_to() -> None:
    for table in (normal_table(), *(law(0.5).gains for law in (gaussian, log_normal, shake, uniform))):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0
