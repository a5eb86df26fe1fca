"""The catalogue: every variant, one row each, and the place to add your own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from thinnet._checks import check_boolean, check_type
from thinnet.errors import InputError
from thinnet.variants._law import TwoPoint
from thinnet.variants._rows import activations, branches, images, sequences, weights
from thinnet.variants._variant import Variant

__all__ = ["CATALOGUE", "Catalogue", "announce", "find", "register"]

_FILES = (activations, images, branches, sequences, weights)
_rows: dict[str, Variant] = {row.name: row for file in _FILES for row in file.ROWS}
_ours = frozenset(_rows)
# The functions of the variants that are not rows, by the name of the variant: errors offer them.
_functions: dict[str, str] = {}


class Catalogue(Mapping[str, Variant]):
    """The rows by name: a read-only view, which shows what `register` adds."""

    def __getitem__(self, name: str) -> Variant:
        return _rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_rows)

    def __len__(self) -> int:
        return len(_rows)

    def __repr__(self) -> str:
        names = list(_rows)
        return f"Catalogue({len(names)} variants: {names[0]}, {names[1]}, …, {names[-1]})"


CATALOGUE = Catalogue()
"""Every variant by its name."""


def announce(name: str, function: str) -> None:
    """Note the function of a variant that is not a row, so that `find` can offer it."""
    _functions[name] = function


def find(variant: str | Variant) -> Variant:
    """Return the variant of a name; a variant is returned as it is.

    Raises
    ------
    InputError
        No such variant; the message offers the nearest name.

    Examples
    --------
    >>> find("GaussianDropout").cite
    'Srivastava et al.: Dropout. JMLR 15, 2014, section 10 (multiplicative Gaussian noise)'
    """
    if type(variant) is str and variant in _rows:
        return _rows[variant]
    if isinstance(variant, Variant):
        return variant
    name = check_type("variant", "variant", variant, str, "pass a name of thinnet.CATALOGUE or a Variant")
    if name in _rows:  # a subclass of str
        return _rows[name]
    if name in _functions:
        raise InputError(f"variant: {name} is no row of the catalogue; use thinnet.{_functions[name]}().")
    import difflib  # not at the top: only errors need it

    known = {each.lower(): each for each in (*_rows, *_functions)}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    remedy = f"did you mean {known[near[0]]!r}?" if near else "`thinnet variants` lists all names."
    raise InputError(f"variant: there is no {name!r} in the catalogue; {remedy}")


def register(row: Variant, *, replace: bool = False) -> Variant:
    """Add a row to the catalogue, so that its name is accepted wherever a variant's name is.

    Parameters
    ----------
    row : Variant
        The row; its law is evaluated at a few rates.
    replace : bool
        Replace a row of that name that `register` added before.

    Returns
    -------
    Variant
        The row.

    Raises
    ------
    InputError
        The name is taken, or the law does not return a law, or not the one that its formula states.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> row = tn.variants.Variant(
    ...     "RowDropout", "activation", "n 1", tn.variants.inverted, cite="none", doc="Drops whole rows."
    ... )
    >>> tn.register(row)
    Variant('RowDropout', 'n 1')
    >>> tn.drop("RowDropout", np.ones((3, 2)), 0.5, key=tn.Key(0)).tolist()
    [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]
    """
    check_type("register", "row", row, Variant)
    check_boolean("register", "replace", replace)
    reserved = row.name in _ours or row.name in _functions
    if reserved or (row.name in _rows and not replace):
        remedy = "choose another name" if reserved else "pass replace=True"
        raise InputError(f"register: the name {row.name!r} is taken; {remedy}.")
    for rate in (0.25, 0.5, row.usual):
        _check_law(row, rate)
    _rows[row.name] = row
    return row


def _check_law(row: Variant, rate: float) -> None:
    """Raise InputError unless the law is one at a rate, with the properties that its formula states."""
    law = row.law_of(rate)
    gain, shift = average = tuple(law.mean)
    if not (math.isfinite(gain) and math.isfinite(shift)):
        raise InputError(f"{row.name}: the law must have a finite mean, got {average} at rate {rate:g}.")
    if rate == 1 or row.formula is None:
        return
    if row.formula.keeps_mean and not (math.isclose(gain, 1) and abs(shift) < 1e-9):
        raise InputError(
            f"{row.name}: the formula states the mean x, but the law's mean is {average} at rate {rate:g}."
        )
    if row.formula.zeroes and not (isinstance(law, TwoPoint) and law.dropped == (0.0, 0.0)):
        raise InputError(f"{row.name}: the formula states 0 for dropped entries, but the law does not.")
