"""Variants of your own: patterns, rows that are passed or registered, and the properties that rows state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet import variants
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.variants import (
    CATALOGUE,
    FUNCTIONS,
    Table,
    TwoPoint,
    Variant,
    find,
    formula,
    gaussian,
    hold,
    inverted,
    register,
    unscaled,
)
from thinnet.variants import _catalogue as catalogue
from thinnet.variants._formula import lines

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
MINE = Variant("MyDropout", "activation", "n 1", inverted, cite="none", doc="Drops whole rows.")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Remove what a test registers."""
    before = dict(catalogue._rows)
    yield
    catalogue._rows.clear()
    catalogue._rows.update(before)


@pytest.mark.parametrize(
    ("pattern", "shape", "lanes"),
    [
        ("n 1", (6, 5), (6, 1)),
        ("1 f", (6, 5), (1, 5)),
        ("...", (6, 5), (6, 5)),
        ("1...", (6, 5), (1, 1)),
        ("batch 1 features", (4, 3, 5), (4, 1, 5)),
        ("n 1...", (6,), (6,)),
        ("  n   c 1 1 ", (2, 3, 4, 4), (2, 3, 1, 1)),
    ],
)
def test_a_pattern_shares_lanes(pattern: str, shape: tuple[int, ...], lanes: tuple[int, ...]) -> None:
    y = tn.drop("Dropout", np.ones(shape), 0.5, key=Key(3), pattern=pattern)
    own = tn.dropout(np.ones(lanes), 0.5, key=Key(3))
    assert np.array_equal(y, np.broadcast_to(own, shape))


@pytest.mark.parametrize("pattern", ["n 1", "1 f", "...", "1..."])
def test_a_part_draws_the_lanes_of_the_whole(pattern: str) -> None:
    x = np.random.default_rng(0).standard_normal((12, 10))
    whole = tn.drop("GaussianDropout", x, 0.5, key=Key(5), pattern=pattern)
    for rows, columns in (
        (slice(3, 9), slice(0, 10)),
        (slice(0, 12), slice(4, 7)),
        (slice(5, 6), slice(2, 9)),
    ):
        part = x[rows, columns]
        window = tn.Window(x.shape, (rows.start, columns.start), part.shape)
        y = tn.drop("GaussianDropout", part, 0.5, key=Key(5), pattern=pattern, window=window)
        assert np.array_equal(y, whole[rows, columns])


def test_a_pattern_of_the_catalogue_is_that_row() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 5))
    for name in ("Dropout2d", "DropPath", "LayerDrop"):
        row = CATALOGUE[name]
        base = "UnscaledDropout" if name == "LayerDrop" else "Dropout"
        y = tn.drop(base, x, 0.5, key=Key(1), pattern=row.pattern)
        assert np.array_equal(y, tn.drop(row, x, 0.5, key=Key(1)))
        assert find(base).patterned(row.pattern).patterned("...") == find(base)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (3, "pattern must be a string with one word for each axis, such as 'n 1 f', got 3."),
        ("", "pattern must be a string with one word for each axis, such as 'n 1 f', got ''."),
        ("n,1", "pattern 'n,1' has the word 'n,1'; use names, 1, ... or 1... for axes."),
        ("n 2", "pattern 'n 2' has the word '2'; use names, 1, ... or 1... for axes."),
        ("n ... 1...", "pattern 'n ... 1...' has more than one of ... and 1...; write one."),
        ("n c n", "pattern 'n c n' has the name 'n' twice; rename one axis."),
        (
            "+" * 99,
            f"pattern '{'+' * 59}…{'+' * 15}' has the word '{'+' * 59}…{'+' * 15}'; use names, 1, "
            "... or 1... for axes.",
        ),
    ],
)
def test_patterns_that_are_refused(pattern: Any, words: str, refusal: Callable[..., str]) -> None:
    x = np.ones((2, 3))
    assert refusal(InputError, tn.drop, "Dropout", x, 0.5, key=Key(0), pattern=pattern) == f"Dropout: {words}"
    line = refusal(InputError, Variant, "Odd", "activation", pattern, inverted, cite="", doc="")
    assert line == f"Odd: {words}"


def test_blocks_need_axes_of_their_own(refusal: Callable[..., str]) -> None:
    row = find("DropBlock2d")
    assert row.patterned("n 1 h w") == replace(find("SharedDropBlock2d"), **_texts(row))
    for pattern in ("n c 1 w", "...", "w"):
        line = refusal(InputError, row.patterned, pattern)
        assert (
            line == f"DropBlock2d: pattern must name the last 2 axes, those of the blocks, got {pattern!r}."
        )


def _texts(row: Variant) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("name", "cite", "doc", "helps", "differs")}


def test_a_pattern_that_does_not_fit_the_array(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.drop, "Dropout", np.ones((2, 3)), 0.5, key=Key(0), pattern="n c 1 1")
    assert line == "Dropout: the pattern 'n c 1 1' needs 4 axes, got an array of shape (2, 3)."


def test_a_variant_is_accepted_where_a_name_is() -> None:
    assert find(MINE) is MINE
    x = np.ones((6, 4))
    y = tn.drop(MINE, x, 0.5, key=Key(0))
    assert np.array_equal(y, tn.drop("Dropout", x, 0.5, key=Key(0), pattern="n 1"))


def test_registered_rows_are_in_the_catalogue(refusal: Callable[..., str]) -> None:
    assert "MyDropout" not in CATALOGUE
    before = len(CATALOGUE)
    assert tn.register(MINE) is MINE
    assert CATALOGUE["MyDropout"] is tn.CATALOGUE["MyDropout"] is find("MyDropout") is MINE
    assert len(CATALOGUE) == before + 1
    assert list(CATALOGUE)[-1] == "MyDropout"
    assert repr(CATALOGUE) == f"Catalogue({before + 1} variants: Dropout, VanillaDropout, …, MyDropout)"
    x = np.ones((6, 4))
    assert np.array_equal(tn.drop("MyDropout", x, 0.5, key=Key(0)), tn.drop(MINE, x, 0.5, key=Key(0)))
    assert refusal(InputError, find, "MyDropuot").endswith("did you mean 'MyDropout'?")
    line = refusal(InputError, register, MINE)
    assert line == "register: the name 'MyDropout' is taken; pass replace=True."
    other = replace(MINE, pattern="1 f")
    assert register(other, replace=True) is find("MyDropout") is other


@pytest.mark.parametrize("name", ["Dropout", "ConcreteDropout", "drop_edges"])
def test_names_of_ours_stay(name: str, refusal: Callable[..., str]) -> None:
    for more in ({}, {"replace": True}):
        line = refusal(InputError, register, replace(MINE, name=name), **more)
        assert line == f"register: the name {name!r} is taken; choose another name."
    assert (name in CATALOGUE) == (name not in FUNCTIONS)


@formula("x / keep", "0", "x")
def _biased(rate: float) -> TwoPoint:
    return unscaled(rate)


@formula("x", "0", "keep * x + rate * other")
def _held(rate: float) -> TwoPoint:
    return hold(rate)


def _infinite(rate: float) -> TwoPoint:
    return TwoPoint(1, (0.0, 0.0), (1.0, 0.0), (float("inf"), 0.0))


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (lambda rate: 3, "law must return a TwoPoint or a Table, got 3 at rate 0.25."),
        (_infinite, "the law must have a finite mean, got (inf, 0.0) at rate 0.25."),
        (_biased, "the formula states the mean x, but the law's mean is (0.75, 0.0) at rate 0.25."),
        (_held, "the formula states 0 for dropped entries, but the law does not."),
    ],
)
def test_laws_that_are_refused(law: Any, words: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, register, replace(MINE, law=law)) == f"MyDropout: {words}"
    assert "MyDropout" not in CATALOGUE


def _failing(rate: float) -> TwoPoint:
    return inverted({}[rate])


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (lambda rate: 3, "MyDropout: law must return a TwoPoint or a Table, got 3 at rate 0.5."),
        (lambda rate: 1 / 0, "MyDropout: law fails at rate 0.5 with ZeroDivisionError: division by zero."),
        (_failing, "MyDropout: law fails at rate 0.5 with KeyError: 0.5."),
        (
            lambda rate: TwoPoint("a", (0, 0), (1, 0), (1, 0)),
            "TwoPoint: threshold must be a whole number in [0, 2**16], got 'a'.",
        ),
        (
            lambda rate: TwoPoint(-5, (0, 0), (1, 0), (1, 0)),
            "TwoPoint: threshold must be a whole number in [0, 2**16], got -5.",
        ),
        (
            lambda rate: TwoPoint(5, 0, (1, 0), (1, 0)),
            "TwoPoint: dropped must be two numbers (gain, shift), got 0.",
        ),
        (
            lambda rate: Table([1], (1, 0)),
            "Table: gains must be an array of float32 and shape (65536,), got [1].",
        ),
        (
            lambda rate: Table(np.ones(65536, np.float32), 1),
            "Table: mean must be two numbers (gain, shift), got 1.",
        ),
    ],
)
def test_a_law_that_fails_when_it_is_applied(law: Any, words: str, refusal: Callable[..., str]) -> None:
    row = replace(MINE, law=law)
    assert refusal(InputError, tn.drop, row, np.ones((2, 3)), 0.5, key=Key(0)) == words


@pytest.mark.parametrize("law", [inverted, variants.hold, variants.mixed, variants.gaussian, variants.shake])
def test_laws_check_their_rate(law: Any, refusal: Callable[..., str]) -> None:
    for wrong in (-1, 1.5, math.nan):
        assert refusal(InputError, law, wrong) == f"law: rate must be in [0, 1], got {wrong:g}."
    assert refusal(InputError, law, "a") == "law: rate must be a number in [0, 1], got 'a'."


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", 3, "Variant: name must be a str, got 3."),
        ("name", "", "Variant: name must not be empty."),
        ("name", "A\nB", "Variant: name must be printable text, got 'A\\nB'."),
        ("site", "brain", 'MyDropout: site must be "activation", "branch", '),
        (
            "law",
            0.5,
            "MyDropout: law must be a function of a rate that returns a TwoPoint or a Table, got 0.5.",
        ),
        ("other", "twins", 'MyDropout: other must be "zero", '),
        ("inference", "median", 'MyDropout: inference must be "mean" or "identity", got '),
        ("usual", 1.5, "MyDropout: usual must be a number in [0, 1], got 1.5."),
        ("block", 7, "MyDropout: block must be a tuple of whole numbers of at least 1, got 7."),
        ("block", (0,), "MyDropout: block must be a tuple of whole numbers of at least 1, got (0,)."),
        ("doc", None, "MyDropout: doc must be a str, got None."),
    ],
)
def test_fields_that_are_refused(field: str, value: Any, words: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, replace, MINE, **{field: value}).startswith(words)


def test_other_things_are_refused(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, register, "Dropout").startswith(
        "register: row must be a thinnet.variants.Variant, got "
    )
    assert refusal(InputError, register, MINE, replace=1).startswith(
        "register: replace must be True or False"
    )
    for wrong in (3, None, ["Dropout"]):
        line = refusal(InputError, tn.drop, wrong, np.ones(3), 0.5, key=Key(0))
        assert line.endswith("; pass a name of thinnet.CATALOGUE or a Variant.")


def test_the_catalogue_is_read_only() -> None:
    view: Any = CATALOGUE
    with pytest.raises(TypeError):
        view["Mine"] = MINE
    with pytest.raises(TypeError):
        del view["Dropout"]


def test_a_variant_has_a_short_repr() -> None:
    assert repr(find("Dropout")) == "Variant('Dropout', '...')"
    assert repr(find("DropBlock2d").sized(3)) == "Variant('DropBlock2d', 'n c h w', block=(3, 3))"


@ROWS
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_properties_are_what_the_law_does(row: Variant, rate: float) -> None:
    law, mean = row.law_of(rate), row.mean_of(rate)
    assert not row.mean_is_identity or mean == pytest.approx((1.0, 0.0), abs=1e-12)
    assert row.mean_is_identity or rate == 0 or mean != pytest.approx((1.0, 0.0))
    zeroes = isinstance(law, TwoPoint) and law.dropped == (0.0, 0.0) and law.kept[1] == 0.0
    assert row.zeroes == zeroes


def _plain(rate: float) -> TwoPoint:
    law = unscaled(rate)
    return TwoPoint(law.threshold, law.dropped, law.kept, law.mean)


def _noise(rate: float) -> Table:
    return Table(gaussian(rate).gains, (1.0, 0.0))


def test_a_law_without_a_formula_states_nothing_and_prints_its_numbers() -> None:
    row = replace(MINE, law=_plain, usual=0.25)
    assert not row.mean_is_identity
    assert not row.zeroes
    assert lines(row) == [
        "at rate 0.25:",
        "y = 1 * x + 0 * other    with chance keep = 1 - rate",
        "y = 0 * x + 0 * other    with chance rate",
        "mean network: y = 0.75 * x + 0 * other",
        "where other is zero",
    ]
    assert "from a table" in lines(replace(row, law=_noise))[1]


def test_a_law_with_a_formula_prints_it() -> None:
    @formula("x + noise", "0", "x", where="noise is small")
    def law(rate: float) -> TwoPoint:
        return unscaled(rate)

    assert lines(replace(MINE, law=law)) == [
        "y = x + noise    with chance keep = 1 - rate",
        "y = 0            with chance rate",
        "mean network: y = x",
        "where noise is small",
    ]
