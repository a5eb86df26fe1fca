"""Floor 7: classic experiments that taught people dropout, each one file and one picture.

`show` runs one by its name: figures over seeds, a picture, and a sentence that says what is seen.
"""

from thinnet.gallery._shown import EXHIBITS, show

__all__ = ["EXHIBITS", "show"]
