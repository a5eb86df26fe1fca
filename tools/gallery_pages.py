"""Run the gallery and write its figures and pictures into the pages of docs/gallery.

python tools/gallery_pages.py [NAME ...] [--mnist FOLDER] [--cifar10 FILE] [--football TRAIN TEST] [--torch]

Without names all exhibits are run. Each option also writes the figures of its data set, or those of PyTorch;
figures of options that are not given stay as they are.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from marked import ROOT, write

from thinnet.gallery import EXHIBITS, _film
from thinnet.gallery._exhibit import Exhibit, frames, picture
from thinnet.gallery._show import choose_backend

# The exhibits that take each data set.
TAKES = {"mnist": ("layer", "ensemble"), "cifar10": ("convnet",), "football": ("scaling",)}
# The pages that show the figures of PyTorch.
TORCH = ("overfit",)


def figures(name: str, data: tuple[Path, ...], block: str, *, drawn: bool, **options: Any) -> None:
    print(f"{name}: {block} …", flush=True)
    made: Exhibit = importlib.import_module(f"thinnet.gallery._{name}").run(data, **options)
    text = "\n".join(line.rstrip() for line in made.lines)
    write(f"docs/gallery/{name}.md", block, f"\n```text\n{text}\n```\n\n{made.sentence}\n\n")
    if not drawn:
        return
    files = ROOT / "docs" / "gallery"
    (files / f"{name}.png").write_bytes(picture(made))
    if made.animate is not None:
        (files / f"{name}.gif").write_bytes(_film.gif(frames(made.animate)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(EXHIBITS))
    for option, count in (("mnist", 1), ("cifar10", 1), ("football", 2)):
        parser.add_argument(f"--{option}", nargs=count, type=Path, default=[])
    parser.add_argument("--torch", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names:
        figures(name, (), "figures", drawn=True)
        for option, takers in TAKES.items():
            if name in takers and getattr(arguments, option):
                figures(name, tuple(getattr(arguments, option)), f"figures-{option}", drawn=False)
        if arguments.torch and name in TORCH:
            figures(name, (), "figures-torch", drawn=False, backend=choose_backend("torch", name))


if __name__ == "__main__":
    main()
