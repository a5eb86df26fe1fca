"""Classic experiments that taught dropout, each one file and one picture.

`show` runs an exhibit by its name: figures over seeds, a picture, and a sentence with the conclusion.
"""

from thinnet.gallery._show import EXHIBITS, show

__all__ = ["EXHIBITS", "show"]
