"""The list of exhibits, and the function that runs one of them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from thinnet._files import explain, write_bytes
from thinnet.errors import FileError, InputError, need
from thinnet.gallery import _film as film
from thinnet.gallery._backend import NUMPY, Backend
from thinnet.gallery._exhibit import Exhibit, frames, picture

__all__ = ["EXHIBITS", "TORCH_EXHIBITS", "choose_backend", "show"]

EXHIBITS = {
    "xor": "the 15-line network with dropout, its gradient right and wrong",
    "scaling": "why inverted dropout divides by keep",
    "layer": "the layer of the books, and all thinned networks of a small one",
    "overfit": "a curve through twenty noisy points, as it is learned",
    "convnet": "dropout on images, by entry, channel and block; in VGG",
    "ensemble": "how many thinned networks make a mean network",
}
"""The name of each exhibit, and its subject; the module `thinnet.gallery._NAME` holds it."""

TORCH_EXHIBITS = ("overfit", "convnet")
"""The exhibits whose networks PyTorch can train too."""


def show(name: str, out: Path, *, data: Sequence[Path] = (), backend: str = "numpy") -> list[str]:
    """Run an exhibit, write its picture to `out`/NAME.png, and return the lines to print.

    Parameters
    ----------
    name : str
        A name of `EXHIBITS`.
    out : Path
        The folder of the picture; it is made if it does not exist.
    data : sequence of Path
        Data files of the user, for exhibits that take them.
    backend : {"numpy", "torch"}
        The library that trains the networks.

    Raises
    ------
    InputError
        No such exhibit; data that it does not take; another backend, or one that the exhibit does not have.
    FileError
        The data cannot be read, or the picture cannot be written.
    MissingPackage
        Matplotlib is not installed, or PyTorch for `backend="torch"`.
    """
    if name not in EXHIBITS:
        raise InputError(f"gallery: there is no experiment {name!r}; choose one of {', '.join(EXHIBITS)}.")
    chosen = choose_backend(backend, name)
    need("matplotlib", extra="study", owner="thinnet gallery")
    out = Path(out)
    try:  # before the experiment, which may take minutes
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{out}: the folder cannot be made: {explain(error)}; choose another with --out."
        ) from error
    options = {} if chosen is NUMPY else {"backend": chosen}
    exhibit: Exhibit = importlib.import_module(f"thinnet.gallery._{name}").run(tuple(data), **options)
    files = {"picture": (out / f"{name}.png", picture(exhibit))}
    if exhibit.animate is not None:
        images = frames(exhibit.animate)
        files["animation"] = out / f"{name}.gif", film.gif(images)
        files["with a slider"] = out / f"{name}.html", film.page(EXHIBITS[name], images)
    for path, content in files.values():
        write_bytes(path, content)
    return [*exhibit.lines, "", exhibit.sentence, *(f"{kind}: {path}" for kind, (path, _) in files.items())]


def choose_backend(name: str, exhibit: str) -> Backend:
    """Return a backend by its name, "numpy" or "torch".

    Raises
    ------
    InputError
        No such backend, or an exhibit that PyTorch does not train.
    MissingPackage
        PyTorch is not installed.

    Examples
    --------
    >>> choose_backend("numpy", "xor") is NUMPY
    True
    """
    if name == "numpy":
        return NUMPY
    if name != "torch":
        raise InputError(f"gallery {exhibit}: backend must be numpy or torch, got {name!r}.")
    if exhibit not in TORCH_EXHIBITS:
        raise InputError(
            f"gallery {exhibit}: backend must be numpy, got {name!r}; PyTorch trains only "
            f"{' and '.join(TORCH_EXHIBITS)}."
        )
    need("torch", extra="torch", owner="thinnet gallery --backend torch")
    return importlib.import_module("thinnet.gallery._twins").TorchBackend()
