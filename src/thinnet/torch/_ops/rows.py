"""Variants as operators take them: a string, and the sizes of blocks.

An operator of torch takes strings and numbers, no objects. A row of the catalogue is its name, and with a
pattern of its own `name[pattern]`: both mean the same in every process. A variant outside the catalogue gets
a number, `name#number`, which this process alone knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from thinnet.errors import InputError
from thinnet.variants import CATALOGUE, Variant, find

__all__ = ["Named", "name_of", "variant_of"]

Named: TypeAlias = tuple[str, tuple[int, ...]]
"""(name, block)."""

_numbered: list[Variant] = []


def name_of(variant: Variant) -> Named:
    """Return the name of a variant, and its block where that is not the one of its row.

    Examples
    --------
    >>> name_of(find("Dropout")), name_of(find("DropBlock2d").sized(3))
    (('Dropout', ()), ('DropBlock2d', (3, 3)))
    """
    row = CATALOGUE.get(variant.name)
    if row is not None:
        if variant is row or variant == row:
            return row.name, ()
        block = variant.block if variant.block != row.block else ()
        same = row.sized(block or None)
        if variant == same:
            return row.name, block
        if variant == same.patterned(variant.pattern):
            return f"{row.name}[{variant.pattern}]", block
    if variant not in _numbered:
        _numbered.append(variant)
    return f"{variant.name}#{_numbered.index(variant)}", ()


def variant_of(name: str, block: Sequence[int] = ()) -> Variant:
    """Return the variant that `name_of` named.

    Raises
    ------
    InputError
        An unknown name, or a number of another process.

    Examples
    --------
    >>> variant_of("Dropout[n 1]").pattern, variant_of("DropBlock2d", [3, 3]).block
    ('n 1', (3, 3))
    """
    known, _, number = name.partition("#")
    if number:
        if int(number) >= len(_numbered):
            raise InputError(f"{known}: this process does not know the variant; use thinnet.register first.")
        return _numbered[int(number)]
    known, _, pattern = name.partition("[")
    row = find(known)
    if pattern:
        row = row.patterned(pattern.removesuffix("]"))
    return row.sized(tuple(block)) if block else row
