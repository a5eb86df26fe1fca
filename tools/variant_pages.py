"""Write docs/variants: a page and a picture for each variant, and the table of all of them.

    python tools/variant_pages.py

Everything comes from the rows of the catalogue and the docstrings of the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from marked import ROOT, write
from PIL import Image

import thinnet as tn
from thinnet import Key, drop
from thinnet.variants import CATALOGUE
from thinnet.variants import _guide as guide

HOME = ROOT / "docs" / "variants"
RATE = 0.3
# The colours of the smallest gain, of the largest, and of gaps; the approximate width in pixels.
INK, PAPER, GAP, WIDTH = (34, 48, 74), (248, 226, 158), (255, 255, 255), 600

IMAGES, TOKENS, KEY = np.ones((2, 3, 24, 24)), np.ones((1, 24, 16)), Key(2014)
# Functions whose samples have the layout of their arrays.
DRAWN: dict[str, tuple[str, Callable[[], Any]]] = {
    "ConcreteDropout": (
        "logit(0.3), temperature 0.5",
        lambda: tn.concrete_dropout(IMAGES, np.log(3 / 7), key=KEY, temperature=0.5),
    ),
    "VariationalDropout": (
        "alpha = 0.43",
        lambda: tn.variational_dropout(IMAGES, np.log(3 / 7), key=KEY),
    ),
    "Standout": (
        "logits from -3 at the left to 3 at the right",
        lambda: tn.standout(IMAGES, np.linspace(-3, 3, 24), key=KEY),
    ),
    "TargetedDropout": (
        "weights of 24 x 16; half of each column are candidates, at rate 0.8",
        lambda: tn.targeted_dropout(np.abs(WEIGHTS), 0.8, key=KEY),
    ),
    "ShakeDrop": (
        "8 samples at rate 0.5",
        lambda: tn.shake_drop(np.ones((8, 1, 24, 24)), 0.5, key=KEY),
    ),
    "Shakeout": (
        "weights of 24 x 16 that were 1, c = 0.3",
        lambda: tn.shakeout(np.ones((24, 16)), RATE, key=KEY, c=0.3),
    ),
    "Cutout": ("boxes of 12", lambda: tn.cutout(np.ones((4, 1, 24, 24)), 12, key=KEY)),
    "NEFTune": ("ones of 24 tokens and 16 features, alpha 5", lambda: tn.neftune_noise(TOKENS, 5.0, key=KEY)),
    "MultiSampleDropout": (
        "3 masks of one array at rate 0.3",
        lambda: tn.multi_sample_dropout(np.ones((1, 24, 24)), RATE, key=KEY, samples=3),
    ),
    "DropHead": ("2 samples of 8 heads", lambda: tn.drop_head(np.ones((2, 8, 12, 12)), RATE, key=KEY)),
}
WEIGHTS = np.random.default_rng(0).standard_normal((24, 16))


def panels(y: Any) -> Image.Image:
    """Return an array as panels of pixels: one row for each sample, one column for each channel."""
    tiles = y.reshape(y.shape[0], -1, *y.shape[-2:]) if y.ndim > 2 else y[None, None]
    tiles = tiles.swapaxes(0, 1) if tiles.shape[1] == 1 else tiles
    low, high = min(0.0, float(y.min())), float(y.max())
    rows, columns, height, width = tiles.shape
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 3), GAP, np.uint8)
    for i, j in np.ndindex(rows, columns):
        share = ((tiles[i, j] - low) / ((high - low) or 1.0))[..., None]
        at = canvas[i * (height + 1) :, j * (width + 1) :][:height, :width]
        at[...] = np.rint((1 - share) * np.array(INK) + share * np.array(PAPER))
    scale = min(12, max(2, WIDTH // canvas.shape[1]))
    size = canvas.shape[1] * scale, canvas.shape[0] * scale
    return Image.fromarray(canvas).resize(size, Image.Resampling.NEAREST)


def gains(name: str) -> tuple[Any, str] | None:
    """Return a sample of ones and its caption; None where a picture would show nothing."""
    if name in CATALOGUE:
        row = CATALOGUE[name]
        shape = guide.example_shape(row)
        if len(shape) == 5:
            shape = (2, 3, 4, 12, 12)
            row = row.sized(3) if row.block else row
        other = {"other": 0.0} if row.needs_other else {}
        # Where a whole batch shares a lane, one step shows one gain.
        steps = 8 if row.pattern == "1..." else 1
        shape = (1, 1, *shape[2:]) if steps > 1 else (6, 1, *shape[2:]) if row.pattern == "n 1..." else shape
        y = np.concatenate(
            [drop(row, np.ones(shape), RATE, key=KEY.at(step), **other) for step in range(steps)]
        )
        y = np.maximum(y, 0) if row.other == "lowest" else y
        what = f"Ones of shape {shape}" + (f", {steps} steps," if steps > 1 else "")
        return y, f"{what} at rate {RATE}, from {y.min():.2f} (dark) to {y.max():.2f} (light)."
    if name in DRAWN:
        caption, draw = DRAWN[name]
        y = draw()
        return y, f"A sample: {caption}; from {y.min():.2f} (dark) to {y.max():.2f} (light)."
    return None


def listing() -> str:
    head = "| variant | site | pattern | usual rate | what it does |\n|---|---|---|---|---|\n"
    cells = (
        f"| [{line.name}]({file(line.name)}.md) | {line.site} | "
        f"{f'`{line.pattern}`' if line.pattern else 'function'} | {line.usual} | {line.doc} |\n"
        for line in guide.table()
    )
    return head + "".join(cells)


def file(name: str) -> str:
    return name.lower()


def pages() -> dict[str, str]:
    """Return every page by its file."""
    made: dict[str, str] = {}
    for line in guide.table():
        drawn = gains(line.name)
        picture = None if drawn is None else f"{file(line.name)}.png {drawn[1]}"
        made[f"{file(line.name)}.md"] = guide.page(line.name, picture)
    return made


def main() -> None:
    for name, text in pages().items():
        (HOME / name).write_text(text, "utf-8")
    for line in guide.table():
        if (drawn := gains(line.name)) is not None:
            panels(drawn[0]).save(HOME / f"{file(line.name)}.png", optimize=True)
    write("docs/variants/README.md", "variants", listing())


if __name__ == "__main__":
    main()
