"""Run the gallery and write its figures and pictures into the pages of docs/gallery.

    python docs/exhibits.py [NAME ...] [--mnist FOLDER] [--cifar10 FILE] [--football TRAIN TEST] [--torch]

All exhibits if none is named. An option also writes the figures for its data, or those of PyTorch; without it
they stay.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from tables import ROOT, write

from thinnet.gallery import EXHIBITS
from thinnet.gallery import _shown as shown
from thinnet.gallery._backend import choose

# Which exhibits take which data.
TAKES = {"mnist": ("layer", "ensemble"), "cifar10": ("convnet",), "football": ("scaling",)}
# Which pages show what PyTorch comes to.
TORCH = ("overfit",)


def figures(name: str, data: tuple[Path, ...], block: str, *, drawn: bool, **options: Any) -> None:
    print(f"{name}: {block} …", flush=True)
    made: shown.Shown = importlib.import_module(f"thinnet.gallery.{name}").run(data, **options)
    text = "\n".join(line.rstrip() for line in made.lines)
    write(f"docs/gallery/{name}.md", block, f"\n```text\n{text}\n```\n\n{made.sentence}\n\n")
    if not drawn:
        return
    files = ROOT / "docs" / "gallery"
    (files / f"{name}.png").write_bytes(shown.picture(made))
    if made.film is not None:
        (files / f"{name}.gif").write_bytes(shown.film.gif(shown.frames(made.film)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(EXHIBITS))
    for option, count in (("mnist", 1), ("cifar10", 1), ("football", 2)):
        parser.add_argument(f"--{option}", nargs=count, type=Path, default=[])
    parser.add_argument("--torch", action="store_true")
    told = parser.parse_args()
    for name in told.names:
        figures(name, (), "figures", drawn=True)
        for option, takers in TAKES.items():
            if name in takers and getattr(told, option):
                figures(name, tuple(getattr(told, option)), f"figures-{option}", drawn=False)
        if told.torch and name in TORCH:
            figures(name, (), "figures-torch", drawn=False, backend=choose("torch", name))


if __name__ == "__main__":
    main()
