from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
import pytest

from thinnet.errors import FileError, InputError, ThinnetError
from thinnet.study._tables.table import BUILTIN, Table, load_table
from thinnet.study._tables.target import read_target


def write(folder: Path, text: str | bytes, name: str = "houses.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def table_of(name: str = "houses.csv", **columns: Any) -> Table:
    return Table(name, pd.DataFrame(columns), "")


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ThinnetError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    return message


# What is read


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_tables_have_a_target(name: str) -> None:
    table = load_table(name)
    assert table.name == name
    target = read_target(table, None)
    assert len(target.y) == len(table.frame)
    assert target.task == ("regression" if name == "diabetes" else "classification")


def test_builtin_classes_have_their_names() -> None:
    assert read_target(load_table("breast_cancer"), None).classes == ("benign", "malignant")
    assert read_target(load_table("digits"), None).classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("houses.csv", "area,price,town\n50,1.5,Bonn\n70,2.5,Köln\n"),
        ("houses.csv", "\ufeffarea,price,town\r\n50,1.5,Bonn\r\n70,2.5,Köln\r\n"),
        ("houses.tsv", "area\tprice\ttown\n50\t1.5\tBonn\n70\t2.5\tKöln\n"),
        ("houses.csv", "area;price;town\n50;1.5;Bonn\n70;2.5;Köln\n"),
        ("houses.csv", "area;price;town\n50;1,5;Bonn\n70;2,5;Köln\n"),
        ("houses.csv", " area , price, town\n50, 1.5, Bonn\n70, 2.5 ,Köln\n"),
        ("HOUSES.CSV", '"area","price","town"\n"50","1.5","Bonn"\n"70","2.5","Köln"\n'),
    ],
)
def test_dialects_hold_the_same_table(tmp_path: Path, name: str, text: str) -> None:
    frame = load_table(write(tmp_path, text, name)).frame
    assert frame.columns.tolist() == ["area", "price", "town"]
    assert frame.to_numpy().tolist() == [[50, 1.5, "Bonn"], [70, 2.5, "Köln"]]


def test_missing_cells(tmp_path: Path) -> None:
    text = "a,b\n1,x\n,NA\nNaN,nan\nnull,NULL\n n/a ,n/a\n-999, \n2,None\n"
    frame = load_table(write(tmp_path, text), ["n/a", "-999"]).frame
    assert frame["a"].dropna().tolist() == [1, 2]
    assert frame["b"].dropna().tolist() == ["x", "None"]


def test_a_named_number_is_missing_however_it_is_spelled(tmp_path: Path) -> None:
    text = "a,b\n1,0\n-999.0,0\n-999,0\n"
    frame = load_table(write(tmp_path, text), ["-999"]).frame
    assert frame["a"].isna().tolist() == [False, True, True]
    frame.fillna(-999).to_parquet(tmp_path / "houses.parquet")
    again = load_table(str(tmp_path / "houses.parquet"), ["-999"]).frame
    assert again["a"].isna().tolist() == [False, True, True]


def test_the_index_counts_the_rows_of_the_file(tmp_path: Path) -> None:
    frame = load_table(write(tmp_path, "\na,b\n1,2\n\n3,4\n,\n5,\n\n")).frame
    assert (frame.index + 2).tolist() == [3, 5, 7]


def test_a_quoted_cell_may_hold_lines(tmp_path: Path) -> None:
    frame = load_table(write(tmp_path, 'a,b\n1,"x\ny, z"\n')).frame
    assert frame["b"].tolist() == ["x\ny, z"]


def test_very_wide_tables(tmp_path: Path) -> None:
    width = 2_800
    text = ",".join(f"x{position}".ljust(60, "_") for position in range(width)) + "\n"
    text += ",".join(["0." + "1234567890" * 40] * width) + "\n"
    assert len(text) > 1 << 20  # a row is longer than a block of Arrow's is by default
    frame = load_table(write(tmp_path, text)).frame
    assert frame.shape == (1, width)


def test_a_nameless_column_gets_a_name(tmp_path: Path) -> None:
    assert load_table(write(tmp_path, ",a\n0,5\n1,6\n")).frame.columns.tolist() == ["Unnamed: 0", "a"]


def test_parquet_keeps_types_and_no_index(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "a": [1.5, None],
            "day": pd.to_datetime(["2024-01-01", "2024-05-06"]),
            "kind": pd.Categorical(["x", "y"]),
        },
        index=[7, 9],
    )
    frame.to_parquet(tmp_path / "houses.parquet")
    read = load_table(str(tmp_path / "houses.parquet")).frame
    assert read.index.tolist() == [0, 1]
    assert read.columns.tolist() == ["a", "day", "kind"]
    assert isinstance(read["kind"].dtype, pd.CategoricalDtype)
    assert read["day"].tolist() == frame["day"].tolist()


@pytest.mark.parametrize("dtype", ["uint8", "float16", ">f8", "bool"])
def test_npz_is_flattened(tmp_path: Path, dtype: str) -> None:
    x = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    np.savez(tmp_path / "faces.npz", X=x, y=np.array([["cat"], ["dog"]]))
    frame = load_table(str(tmp_path / "faces.npz")).frame
    assert frame.columns.tolist() == [*(f"x{position}" for position in range(12)), "y"]
    assert frame["y"].tolist() == ["cat", "dog"]
    assert np.array_equal(frame.drop(columns="y").to_numpy(), x.reshape(2, 12))


def test_npz_without_y_can_be_predicted(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", X=np.zeros(3))
    table = load_table(str(tmp_path / "new.npz"))
    assert table.frame.shape == (3, 1)
    assert '"y"' in refusal(read_target, table, None)


def test_fingerprint_is_of_the_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = "a,b\n1,x\n2,\n"
    first = load_table(write(tmp_path, text)).fingerprint
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert load_table(write(tmp_path / "sub", text, "other.csv")).fingerprint == first
    others = ["a,c\n1,x\n2,\n", "a,b\n1,x\n3,\n", "a,b\n1,x\n2,x\n", "a,b\n1.0,x\n2,\n", "b,a\n1,x\n2,\n"]
    prints = {load_table(write(tmp_path, other)).fingerprint for other in others}
    assert len(prints | {first}) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in KiB on Linux only")
def test_reading_is_lean(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50_000, 30)).round(4)).add_prefix("c")
    path = tmp_path / "big.csv"
    pyarrow.csv.write_csv(pyarrow.Table.from_pandas(frame), str(path))  # pandas takes seconds
    small = write(tmp_path, "a,b\n1,x\n", "small.csv")
    program = (
        "import resource, sys; from thinnet.study._tables.table import load_table; load_table(sys.argv[1]);"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "before = peak(); load_table(sys.argv[2]); print(peak() - before)"
    )
    command = [sys.executable, "-c", program, small, str(path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024
    assert grown < 4 * frame.to_numpy().nbytes


# What is refused


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("", ["houses.csv", "empty table"]),
        ("\n\n", ["houses.csv", "empty table"]),
        ("a,b\n", ["houses.csv", "empty table"]),
        ("a,b", ["houses.csv", "empty table"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["houses.csv", "UTF-8"]),
        ("a,b\n1,é\n2,ü\n".encode("latin-1"), ["houses.csv, line 2", "0xe9", "UTF-8"]),
        ("a,é\n1,2\n".encode("latin-1"), ["houses.csv, line 1", "UTF-8"]),
        ("a,b\n1\n2,é\n".encode("latin-1"), ["houses.csv, line 3", "0xe9"]),
        ("a,b\n1,\0\n", ["houses.csv, line 2", "NUL"]),
        ("a,b\n1,2\n".encode("utf-16"), ["houses.csv, line 1", "UTF-8"]),
        ("a,b\n1,2\n1,2,3\n", ["houses.csv, row 3:", "2 cells", "has 3"]),
        ("\na,b\n\n1,2\n1\n", ["houses.csv, row 5:", "2 cells", "has 1"]),
        ("a,b,a\n1,2,3\n", ['"a"', "two columns"]),
        ('a,b\n1,"2\n3,4\n', ["houses.csv, row 2", "quote"]),
        ("1.5,2.5\n3.5,4.5\n", ["houses.csv, row 1", "header"]),
    ],
)
def test_bad_text_tables(tmp_path: Path, text: str | bytes, needles: list[str]) -> None:
    message = refusal(load_table, write(tmp_path, text))
    assert all(needle in message for needle in needles), message


@pytest.mark.parametrize("name", ["houses.xlsx", "houses", "digit"])
def test_unknown_suffix_lists_what_is_read(name: str) -> None:
    message = refusal(load_table, name)
    assert all(known in message for known in (name, ".csv", ".tsv", ".parquet", ".npz", "digits", "wine"))


def test_files_that_cannot_be_enter_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv: no such file"):
        load_table(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileError, match="it is a folder"):
        load_table(str(tmp_path / "folder.csv"))


@pytest.mark.parametrize("name", ["broken.parquet", "broken.npz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"PAR1 PAR1", b"text"])
def test_broken_binary_tables(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(FileError, match=name):
        load_table(write(tmp_path, content, name))


@pytest.mark.parametrize(
    ("arrays", "needles"),
    [
        ({"x": np.zeros((3, 2))}, ['"X"', '"x"']),
        ({"X": np.zeros((3, 2)), "y": np.zeros(4)}, ["3 rows", "4"]),
        ({"X": np.array([[1, None]], dtype=object)}, ["objects"]),
        ({"X": np.zeros((2, 2)), "y": np.array([1, None], dtype=object)}, ["objects"]),
        ({"X": np.array([["a"]])}, ["numbers"]),
        ({"X": np.float64(3)}, ["shape ()"]),
        ({"X": np.zeros((2, 2)), "y": np.eye(2)}, ["shape (2, 2)"]),
        ({"X": np.zeros((0, 2))}, ["empty table"]),
    ],
)
def test_bad_archives(tmp_path: Path, arrays: dict[str, Any], needles: list[str]) -> None:
    np.savez(tmp_path / "faces.npz", **arrays)
    message = refusal(load_table, str(tmp_path / "faces.npz"))
    assert message.startswith("faces.npz: ")
    assert all(needle in message for needle in needles), message


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(FileError, match="savez"):
        load_table(str(tmp_path / "x.npz"))


# The target


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 10, "classification", ("no", "yes")),
        ([True, False] * 10, "classification", ("False", "True")),
        (pd.Categorical(["b", "a"] * 10), "classification", ("a", "b")),
        ([10, 9] * 10, "classification", ("9", "10")),
        ([10.0, 9.0] * 10, "classification", ("9", "10")),
        ([0.5, 1.0] * 10, "regression", ()),
        (list(range(20)), "regression", ()),
        ([1, 2, 3, 4, 5] * 4, "regression", ()),
        (list(range(20)) * 5, "classification", tuple(map(str, range(20)))),
        (list(range(21)) * 10, "regression", ()),
        (["1.5", "2"] * 10, "regression", ()),
    ],
)
def test_task_is_inferred(values: Any, task: str, classes: tuple[str, ...]) -> None:
    target = read_target(table_of(x=np.arange(len(values)), t=values), "t")
    assert (target.task, target.classes) == (task, classes)
    if task == "classification":
        assert target.y.dtype == np.int64
        told = [float(classes[label]) for label in target.y] if classes[0].isdigit() else None
        assert told is None or told == [float(value) for value in values]
    else:
        assert target.y.dtype == np.float64
        assert target.y.tolist() == [float(value) for value in values]


def test_labels_follow_the_classes() -> None:
    target = read_target(table_of(x=range(20), t=["b", "c", "a", "b"] * 5), "t")
    assert [target.classes[label] for label in target.y] == ["b", "c", "a", "b"] * 5


def test_task_can_be_asked_for() -> None:
    table = table_of(x=range(20), t=[0, 1] * 10)
    assert read_target(table, "t", "regression").y.tolist() == [0.0, 1.0] * 10
    assert read_target(table_of(x=range(20), t=[0.5, 1] * 10), "t", "classification").classes == ("0.5", "1")
    assert read_target(table_of(x=range(20), t=["1", "x"] * 10), "t", "classification").classes == ("1", "x")
    with pytest.raises(InputError, match='"clustering"'):
        read_target(table, "t", "clustering")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["a", "b", "c", "a"] * 5, "3 distinct texts"),
        (list(range(412)), "whole numbers with 412 distinct values"),
        ([1, 2] * 10, "2 distinct whole numbers"),
        ([True, False] * 10, "2 distinct booleans"),
    ],
)
def test_why_is_told(values: Any, why: str) -> None:
    assert read_target(table_of(x=np.zeros(len(values)), t=values), "t").why == why


TWENTY = [1.5, 2.5] * 10


@pytest.mark.parametrize(
    ("values", "task", "needles"),
    [
        ([1.0] * 20, None, ['is "1" in every row']),
        (["a"] * 20, None, ['is "a" in every row']),
        ([2.5] * 20, None, ['is "2.5" in every row']),
        ([*TWENTY, np.nan, np.nan], None, ["row 22", "missing", "2 in all"]),
        ([*["a", "b"] * 10, " "], None, ["row 22", "missing"]),
        ([*TWENTY, np.inf], None, ["row 22", "infinite"]),
        ([*["a", "b"] * 10, "c"], None, ['class "c" has 1 row;', "needs 5", "merge"]),
        ([*["a", "b"] * 10, *"cccc", "d"], None, ['class "d" has 1 row (1 more', "needs 5"]),
        ([*[0, 1] * 20, 2], None, ['class "2" has 1 row', 'task="regression"']),
        ([*["1.5", "2.5"] * 10, "n/a"], None, ["row 22", '"n/a" is not a number', 'task="classification"']),
        (["red", "blue"] * 10, "regression", ["row 2", '"red" is not a number']),
        (pd.date_range("2024-01-01", periods=20), None, ["is a date"]),
        (TWENTY[:19], None, ["at least 20 rows", "19"]),
    ],
)
def test_targets_that_cannot_be_learned(values: Any, task: str | None, needles: list[str]) -> None:
    message = refusal(read_target, table_of(x=np.arange(len(values)), t=values), "t", task)
    assert message.startswith("houses.csv")
    assert all(needle in message for needle in needles), message


def test_the_row_of_a_bad_target_is_that_of_the_file(tmp_path: Path) -> None:
    rows = ["t,x", "", *["1.5,1", "2.5,2"] * 10, ",3"]
    message = refusal(read_target, load_table(write(tmp_path, "\n".join(rows))), "t")
    assert "row 23," in message


def test_unknown_targets() -> None:
    table = table_of(area=range(20), price=range(20))
    assert 'target="COLUMN"; the columns are "area", "price".' in refusal(read_target, table, None)
    assert 'did you mean "price"?' in refusal(read_target, table, "Prize")
    assert 'the columns are "area", "price".' in refusal(read_target, table, "zzz")


def test_a_lone_column_predicts_nothing() -> None:
    assert "only column" in refusal(read_target, table_of(price=range(20)), "price")


def test_long_lists_and_cells_stay_readable() -> None:
    wide = Table("wide.csv", pd.DataFrame(np.zeros((20, 300))).add_prefix("pixel"), "")
    assert len(refusal(read_target, wide, None)) < 400
    values = [*["1", "2"] * 10, "long\ntext " * 50]
    assert len(refusal(read_target, table_of(x=range(21), t=values), "t")) < 250
