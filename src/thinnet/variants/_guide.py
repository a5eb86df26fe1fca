"""The guide to variants: a table of all of them and a page for each, made from their rows."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from thinnet.errors import InputError
from thinnet.variants import _formula as formula
from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._beyond.function import FunctionVariant
from thinnet.variants._catalogue import CATALOGUE, find
from thinnet.variants._variant import SITES, Variant

__all__ = ["SITES", "Line", "example_shape", "page", "table"]

# The length of each named axis in examples and pictures; "..." stands for the axes of an image.
_LENGTHS = {"n": 2, "c": 3, "h": 24, "w": 24, "d": 24, "t": 12, "f": 16, "v": 24, "e": 24, "m": 4, "1": 24}


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    site: str
    pattern: str
    usual: str
    doc: str


def table(site: str | None = None) -> list[Line]:
    """Return every variant, or those of a site: the rows in the catalogue's order, then the functions.

    Raises
    ------
    InputError
        No such site.

    Examples
    --------
    >>> [line.name for line in table("weight")]  # doctest: +ELLIPSIS
    ['DropConnect', 'WeightDrop', 'Mixout', 'DARE', 'VariationalDropout', ...]
    """
    if site is not None and site not in SITES:
        raise InputError(f"variants: there is no site {site!r}; choose one of {', '.join(SITES)}.")
    rows = [Line(row.name, row.site, row.pattern, f"{row.usual:g}", row.doc) for row in CATALOGUE.values()]
    rows += [
        Line(row.name, row.site, "", "–" if row.usual is None else f"{row.usual:g}", row.doc)
        for row in FUNCTIONS.values()
    ]
    return [row for row in rows if site in (None, row.site)]


def example_shape(row: Variant) -> tuple[int, ...]:
    """Return the shape of an array that fits the pattern of a row: an image where possible.

    Examples
    --------
    >>> example_shape(find("Dropout2d")), example_shape(find("LockedDropout"))
    ((2, 3, 24, 24), (2, 24, 16))
    """
    image = (2, 3, 24, 24)
    words = row.pattern.split()
    if any("..." in word for word in words):
        return (24, 16) if row.site == "weight" or words[0] in "ve" else image
    return tuple(image[i] if len(words) == 4 else _LENGTHS.get(word, 8) for i, word in enumerate(words))


def page(name: str, picture: str | None = None) -> str:
    """Return the page of a variant as Markdown with examples that run.

    Parameters
    ----------
    name : str
        Of a row of the catalogue or of a function.
    picture : str, optional
        The file of a picture of its gains, and after a space its caption.

    Raises
    ------
    InputError
        No such variant; the nearest name is offered.
    """
    row = FUNCTIONS[name] if name in FUNCTIONS else find(name)
    image: list[str] = []
    if picture is not None:
        file, _, caption = picture.partition(" ")
        image = [f"![The gains of {row.name}]({file})", f"*{caption}*"]
    parts = [f"# {row.name}", row.doc, *image, *(_row(row) if isinstance(row, Variant) else _functions(row))]
    start = "" if row.usual is None else f" Start from rate {row.usual:g}."
    parts += ["## When it helps", f"{row.helps}{start}"]
    if row.differs:
        parts += ["## What differs elsewhere", row.differs]
    return "\n\n".join([*parts, "## Reference", f"{row.cite}.\n"])


def _row(row: Variant) -> list[str]:
    shared = "every entry has a lane of its own" if row.pattern == "..." else f"pattern `{row.pattern}`"
    formulas = "\n".join(formula.lines(row))
    shape = example_shape(row)
    other = ", other=np.zeros(shape)" if row.needs_other else ""
    use = [
        ">>> import numpy as np, thinnet as tn",
        f">>> shape = {shape}",
        f'>>> y = tn.drop("{row.name}", np.ones(shape), {row.usual:g}, key=tn.Key(0){other})',
        ">>> y.shape == shape",
        "True",
    ]
    block = ", block=7" if row.block else ""
    if row.flows:
        use.append(f'>>> layer = tn.net.Dropout({row.usual:g}, variant="{row.name}"{block})')
    if row.site == "weight":
        dense = "tn.net.Dense(24, 16)"
        use.append(f'>>> layer = tn.net.DropConnect({dense}, {row.usual:g}, variant="{row.name}")')
    text = "\n".join(use)
    return [
        f"Acts on {SITES[row.site]} ({row.site}); {shared}.",
        f"```text\n{formulas}\n```",
        f"## Use\n\n```python\n{text}\n\n```",
    ]


def _functions(row: FunctionVariant) -> list[str]:
    parts = [
        f"Acts on {SITES[row.site]} ({row.site}). It has functions of its own because {row.why}.",
        "## Use",
    ]
    for function in row.functions:
        doc = inspect.getdoc(function) or ""
        summary, _, rest = doc.partition("\n\n")
        formula, examples = rest.partition("\n\nParameters\n")[0], rest.partition("Examples\n--------\n")[2]
        formula = formula.partition("\n\nExamples\n")[0]
        formula = "" if formula.startswith(("Examples\n", "Parameters\n")) else formula
        example = examples.partition("\n\nReferences\n")[0]
        home = f">>> from thinnet import {function.__name__}"
        parts += [
            f"### `{function.__name__}{_arguments(function)}`",
            summary,
            *([formula] if formula else []),
        ]
        parts.append(f"```python\n{home}\n{example}\n\n```")
    return parts


def _arguments(function: object) -> str:
    """Return the parameters of a function, as a signature without annotations."""
    names: list[str] = []
    for one in inspect.signature(function).parameters.values():  # pyright: ignore[reportArgumentType]
        if one.kind is one.KEYWORD_ONLY and "*" not in names:
            names.append("*")
        names.append(one.name if one.default is one.empty else f"{one.name}={one.default!r}")
    return f"({', '.join(names)})"
