"""The predictions of a study's network for new rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thinnet import _files as files
from thinnet import net
from thinnet._checks import check_path, check_texts
from thinnet.errors import FileError
from thinnet.study._extra import need_packages
from thinnet.study._folder import MODEL, MODEL_FORMAT
from thinnet.study._tables.preparation import Preparation
from thinnet.study._tables.table import load_table
from thinnet.study._tables.target import count_outputs

__all__ = ["Model", "load_model", "predict", "to_csv"]


@dataclass(frozen=True)
class Model:
    """A network with the treatment of columns, the classes and the unit that predictions need."""

    network: net.Network
    preparation: Preparation
    target: str
    classes: tuple[str, ...]
    center: float
    scale: float

    def predict(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """Return predictions for the rows of a table: the target, and the probability of each class."""
        x = self.preparation.transform(frame, name)
        if not self.classes:
            values = self.network.predict(x).astype(np.float64) * self.scale + self.center
            return pd.DataFrame({self.target: values})
        p = self.network.predict_proba(x)
        predictions = pd.DataFrame({self.target: np.asarray(self.classes, object)[p.argmax(axis=1)]})
        for i, label in enumerate(self.classes):
            predictions[f"p({label})"] = p[:, i]
        return predictions


def load_model(path: str | Path) -> Model:
    """Read a model from a run's folder or a model.safetensors file; no code in the file is executed.

    Raises
    ------
    FileError
        The file does not exist, is truncated, or is not a model of `thinnet study`.
    """
    path = check_path("predict", "run", path)
    if files.is_folder(path):
        if not (path / MODEL).exists():
            raise FileError(f"{path}: there is no {MODEL} in it; run or finish the study first.")
        path = path / MODEL
    network, extra = net.Network.load_with_metadata(path)
    if extra.get("format") != MODEL_FORMAT:
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
    if network.inputs != len(model.preparation.features) or network.outputs != count_outputs(model.classes):
        raise FileError(f"{path}: its network does not match its columns; run the study again.")
    return model


def predict(
    run: str | Path, source: str, *, out: str | Path | None = None, missing: Sequence[str] = ()
) -> pd.DataFrame:
    """Predict new rows with the network of a finished study; `thinnet predict` in Python.

    Parameters
    ----------
    run : path
        A run's folder, or its model.safetensors.
    source : str
        A file with the columns of the study's table; the target may be absent.
    out : path, optional
        A CSV file for the predictions.
    missing : sequence of str
        Texts that stand for a missing value, besides empty cells, NA, NaN and null.

    Returns
    -------
    pandas.DataFrame
        One row for each row of the table: the target, and for classes the probability of each.

    Raises
    ------
    ThinnetError
        The model or the table cannot be used, a column is missing, or the file cannot be written.

    Examples
    --------
    >>> predict("runs/houses", "new.csv")["price"].mean()  # doctest: +SKIP
    48213.4
    """
    need_packages("thinnet predict")
    model = load_model(run)
    if out is not None:
        check_path("predict", "out", out)
    table = load_table(
        str(check_path("predict", "source", source)), check_texts("predict", "missing", missing)
    )
    predictions = model.predict(table.frame, table.name)
    if out is not None:
        files.write_text(out, to_csv(predictions))
    return predictions


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV text, numbers with nine digits."""
    text: Any = io.StringIO()
    frame.to_csv(text, index=False, float_format="%.9g", lineterminator="\n")
    return text.getvalue()
