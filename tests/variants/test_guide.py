"""The documentation of variants: formulas that compute what the laws do, and pages that are up to date."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.variants import CATALOGUE, TwoPoint, Variant, drop
from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._formula import lines
from thinnet.variants._guide import SITES, example_shape, page, table

ROOT = Path(__file__).parents[2]
DOCS, TOOLS = ROOT / "docs", ROOT / "tools"
ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
NAMES = pytest.mark.parametrize("name", [*CATALOGUE, *FUNCTIONS])


def value(text: str, row: Variant, rate: float, x: float, other: float) -> float:
    """Compute a formula as it is printed."""
    known: dict[str, float] = {
        "x": x,
        "other": other,
        "rate": rate,
        "keep": 1 - rate,
        "A": -1.7580993408473766,
    }
    assert row.formula is not None
    where = row.formula.where
    for part in where.split(", "):
        name, _, right = part.partition(" = ")
        if name in ("a", "b"):
            known[name] = eval(right, {}, known)
    return float(eval(text, {}, known))


@ROWS
@pytest.mark.parametrize("rate", [0.25, 0.5, 0.875])
def test_formulas_compute_what_the_laws_do(row: Variant, rate: float) -> None:
    known, law = row.formula, row.law_of(rate)
    assert known is not None
    realised = law.rate if isinstance(law, TwoPoint) else rate
    for x, other in ((2.0, -0.5), (-3.0, 4.0)):
        if isinstance(law, TwoPoint):
            own = 1.0 if row.other == "one" else 0.0 if row.other == "zero" else other
            for side, text in ((law.kept, known.kept), (law.dropped, known.dropped)):
                assert value(text, row, realised, x, other) == pytest.approx(side[0] * x + side[1] * own)
        shape = example_shape(row)
        more = {"other": np.full(shape, other)} if row.needs_other else {}
        y = drop(row, np.full(shape, x), rate, key=Key(0), mode="mean", **more)
        mean = known.mean if row.inference == "mean" else "x"
        assert np.allclose(y, value(mean, row, realised, x, other), rtol=1e-6)


def test_where_a_tables_gains_lie_is_as_line_of() -> None:
    rate = 0.2
    spread = (3 * rate / (1 - rate)) ** 0.5
    gains = CATALOGUE["UniformDropout"].law_of(rate).gains
    assert (gains.min(), gains.max()) == pytest.approx((1 - spread, 1 + spread), rel=1e-3)
    gains = CATALOGUE["LogNormalDropout"].law_of(rate).gains.astype(float)
    assert np.log(gains).mean() == pytest.approx(math.log(1 - rate) / 2, abs=1e-3)
    assert np.log(gains).var() == pytest.approx(-math.log(1 - rate), rel=1e-3)
    gains = CATALOGUE["GaussianDropout"].law_of(rate).gains.astype(float)
    assert (gains.mean(), gains.var()) == pytest.approx((1, rate / (1 - rate)), rel=1e-6)
    gains = CATALOGUE["ShakeShake"].law_of(rate).gains
    assert (gains.min(), gains.max()) == pytest.approx(((1 - rate) / 2, (1 + rate) / 2), rel=1e-3)


@NAMES
def test_a_page_is_complete_and_is_the_one_in_the_documentation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TOOLS)
    pages: Any = importlib.import_module("variant_pages")
    known = CATALOGUE.get(name) or FUNCTIONS[name]
    text = page(name)
    for words in (known.doc, known.cite, known.helps, known.differs, SITES[known.site]):
        assert words in text
    assert known.usual is None or f"Start from rate {known.usual:g}." in text
    if name in CATALOGUE:
        assert all(line in text for line in lines(CATALOGUE[name]))
    file = pages.file(name)
    drawn = pages.gains(name)
    assert (DOCS / "variants" / f"{file}.png").exists() == (drawn is not None)
    picture = None if drawn is None else f"{file}.png {drawn[1]}"
    assert (DOCS / "variants" / f"{file}.md").read_text("utf-8") == page(name, picture)


def test_the_table_is_the_one_in_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOOLS)
    listing = importlib.import_module("variant_pages").listing()
    assert listing in (DOCS / "variants" / "README.md").read_text("utf-8")
    files = {path.stem for path in (DOCS / "variants").glob("*.md")} - {"README"}
    assert files == {name.lower() for name in [*CATALOGUE, *FUNCTIONS]}


def test_every_site_has_its_variants(refusal: Callable[..., str]) -> None:
    assert [line.name for line in table()] == [*CATALOGUE, *FUNCTIONS]
    assert sorted(line.name for site in SITES for line in table(site)) == sorted([*CATALOGUE, *FUNCTIONS])
    assert all(table(site) for site in SITES)
    line = refusal(InputError, table, "brain")
    assert line.startswith("variants: there is no site 'brain'; choose one of activation, branch, ")


def test_a_page_of_nothing(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, page, "Dropot").endswith("did you mean 'Dropout'?")
