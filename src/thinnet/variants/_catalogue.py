"""The catalogue: every variant, one row each."""

from __future__ import annotations

from types import MappingProxyType

from thinnet.errors import InputError
from thinnet.variants._rows import activations, branches, images, sequences, weights
from thinnet.variants._variant import Variant

__all__ = ["CATALOGUE", "find"]

_PARTS = (activations, images, branches, sequences, weights)

CATALOGUE = MappingProxyType({row.name: row for part in _PARTS for row in part.ROWS})
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

    from thinnet.variants._beyond import FUNCTIONS

    if name in FUNCTIONS:
        call = f"{FUNCTIONS[name].functions[0].__name__}()"
        raise InputError(f"variant: {name} is no row of the catalogue; use thinnet.{call}.")
    known = {each.lower(): each for each in (*CATALOGUE, *FUNCTIONS)}
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.4)
    remedy = f"did you mean {known[near[0]]!r}?" if near else "thinnet.CATALOGUE has them all."
    raise InputError(f"variant: there is no {name!r} in the catalogue; {remedy}")
