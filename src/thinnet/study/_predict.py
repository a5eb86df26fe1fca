"""`thinnet predict`: a study's network applied to new rows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thinnet import _files as files
from thinnet import net
from thinnet.errors import FileError
from thinnet.study._tables.preparation import Preparation
from thinnet.study._tables.table import load_table, outputs_of

__all__ = ["Model", "load_model", "predict"]

_FORMAT = "thinnet.model/1"


@dataclass(frozen=True)
class Model:
    """A network with everything needed to use it on a table."""

    network: net.Network
    preparation: Preparation
    target: str
    classes: tuple[str, ...]
    center: float
    scale: float

    def predict(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """Return predictions for the rows of a table: the target, and for classes their probabilities."""
        x = self.preparation.transform(frame, name)
        if not self.classes:
            values = self.network.predict(x).astype(np.float64) * self.scale + self.center
            return pd.DataFrame({self.target: values})
        p = self.network.predict_proba(x)
        named = pd.DataFrame({self.target: np.asarray(self.classes, object)[p.argmax(axis=1)]})
        for i, label in enumerate(self.classes):
            named[f"p({label})"] = p[:, i]
        return named


def load_model(path: str | Path) -> Model:
    """Read a model from a run's folder or a model.safetensors file. Nothing in the file is run.

    Raises
    ------
    FileError
        No such file, cut short, or not a model of `thinnet study`.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "model.safetensors").exists():
            raise FileError(f"{path}: there is no model.safetensors in it; run or finish the study first.")
        path = path / "model.safetensors"
    network, extra = net.Network.load_with_metadata(path)
    if extra.get("format") != _FORMAT:
        raise FileError(f"{path}: a network, but not a model of thinnet study; give a run's folder.")
    try:
        model = Model(
            network,
            Preparation.from_json(extra["preparation"]),
            str(extra["target"]),
            tuple(str(label) for label in extra["classes"]),
            float(extra["center"]),
            float(extra["scale"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: its description is damaged ({error}); run the study again.") from error
    if network.inputs != len(model.preparation.features) or network.outputs != outputs_of(model.classes):
        raise FileError(f"{path}: its network does not fit its columns; run the study again.")
    return model


def predict(model: str | Path, source: str, out: Path | None, missing: tuple[str, ...] = ()) -> pd.DataFrame:
    """Predict for a table; write CSV to `out` if given.

    Raises
    ------
    ThinnetError
        A model or a table that cannot be used, a column that is missing, a file that cannot be written.
    """
    loaded = load_model(model)
    table = load_table(source, missing)
    predictions = loaded.predict(table.frame, table.name)
    if out is not None:
        files.write_text(out, to_csv(predictions))
    return predictions


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV text, numbers with nine digits."""
    text: Any = io.StringIO()
    frame.to_csv(text, index=False, float_format="%.9g", lineterminator="\n")
    return text.getvalue()
