from __future__ import annotations

import ast
import errno
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import thinnet
from thinnet import _cli as cli
from thinnet import _info as info
from thinnet._bench import Options
from thinnet._cli import predict as predict_command
from thinnet._cli import study as study_command
from thinnet._cli.parser import Parser
from thinnet._core import native
from thinnet.study import Options as StudyOptions

from .study.helpers import flowers_csv, numbers_csv, snapshot


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: without --out a run goes to runs/ there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command, expect one line of refusal and nothing written, and return the line."""
    before = snapshot(Path.cwd())
    assert cli.run(list(arguments)) == 2
    assert snapshot(Path.cwd()) == before
    assert not Path("runs").exists()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err.rstrip("\n")


def table(*lines: str, name: str = "houses.csv") -> str:
    Path(name).write_text("\n".join(lines) + "\n", "utf-8")
    return name


def prices(*, change: dict[int, str] | None = None, rows: int = 30) -> str:
    """Write a table of houses; `change` puts other lines in the place of some rows, counted from 1."""
    path = numbers_csv(Path("houses.csv"), rows)
    lines = path.read_text("utf-8").splitlines()
    for row, line in (change or {}).items():
        lines[row - 1] = line
    return table(*lines)


# Tables that cannot be used


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused("study", "houses.csv", "--target", "price", capsys=capsys)
    assert said == "houses.csv: no such file."


def test_a_folder_or_another_kind_of_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").mkdir()
    assert refused("study", "table.csv", "--target", "a", capsys=capsys).startswith("table.csv: ")
    said = refused("study", "houses.xlsx", "--target", "price", capsys=capsys)
    assert said.startswith("houses.xlsx: not a table that thinnet reads; give a .csv")
    assert "wine" in said


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0" * 9, b"PK\3\4" + bytes(range(256)), b"\xff\xfea\0,\0"]
)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "npz"])
def test_a_file_that_is_no_table(data: bytes, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(f"picture.{suffix}").write_bytes(data)
    said = refused("study", f"picture.{suffix}", "--target", "price", capsys=capsys)
    assert said.startswith(f"picture.{suffix}")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (["--target", "Prize"], 'houses.csv: there is no column "Prize"; did you mean "price"?'),
        ([], "houses.csv: name the target with --target COLUMN; the columns are "),
        (
            ["--target", ""],
            'houses.csv: there is no column ""; the columns are "area", "age", "noise", "price".',
        ),
    ],
)
def test_a_target_that_is_not_there(target: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("study", prices(), *target, capsys=capsys).startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({17: "0.1,0.2,0.3,"}, 'houses.csv, row 17, column "price": the target is missing'),
        ({17: "0.1,0.2,0.3,NaN"}, 'houses.csv, row 17, column "price": the target is missing'),
        ({17: "0.1,0.2,0.3,inf"}, 'houses.csv, row 17, column "price": '),
        ({17: "0.1,0.2,0.3,1e999"}, 'houses.csv, row 17, column "price": '),
        ({17: "0.1,0.2,0.3,1e200"}, 'houses.csv, row 17, column "price": 1e+200 is too large'),
        ({17: "n/a,0.2,0.3,1.5"}, 'houses.csv, row 17, column "area": "n/a" is not a number; '),
        ({17: "0.1,0.2,0.3"}, "houses.csv, row 17: 4 cells are needed"),
        ({1: "area,age,age,price"}, 'houses.csv: two columns are called "age"'),
    ],
)
def test_cells_that_cannot_be_used(
    change: dict[int, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused("study", prices(change=change), "--target", "price", capsys=capsys)
    assert line.startswith(said)


def test_the_remedy_for_a_text_among_numbers_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(
        "study", prices(change={9: "n/a,0.2,0.3,1.5"}), "--target", "price", "--trials", "1", capsys=capsys
    )
    assert '--missing "n/a"' in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["area,price"], "houses.csv: empty table"),
        ([], "houses.csv: empty table"),
        (["area,price", "1,2", "2,3", "3,5"], "houses.csv: at least 20 rows are needed, and it has 3."),
        (["price", *"0123456789" * 3], 'houses.csv: "price" is the only column'),
        (
            ["area,price", *[f"{i},same" for i in range(30)]],
            'houses.csv: the target "price" is "same" in every row',
        ),
        (
            ["area,price", *[f"{i},7" for i in range(30)]],
            'houses.csv: the target "price" is "7" in every row',
        ),
        (
            ["area,price", *[f"{i},{'no' if i % 2 else 'yes'}" for i in range(30)], "31,maybe"],
            'houses.csv: the target "price": class "maybe" has 1 row; ',
        ),
        (["id,price", *[f"{i},{i * i}.5" for i in range(30)]], "houses.csv: no column is left to learn from"),
    ],
)
def test_tables_that_cannot_be_learned_from(
    lines: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused("study", table(*lines), "--target", "price", capsys=capsys).startswith(said)


def test_groups_and_columns_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    flowers = str(flowers_csv(Path("flowers.csv")))
    for option in ("--group", "--category", "--drop"):
        said = refused("study", flowers, "--target", "kind", option, "feild", capsys=capsys)
        assert said.startswith("flowers.csv: ")
        assert option in said
        assert said.endswith('did you mean "field"?')
    said = refused("study", flowers, "--target", "kind", "--group", "colour", capsys=capsys)
    assert said.startswith('flowers.csv: column "colour" holds 3 groups; --group needs at least 10')


def test_an_archive_without_y(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("digits.npz", X=np.zeros((30, 4)))
    said = refused("study", "digits.npz", capsys=capsys)
    assert said == 'digits.npz: holds no array "y"; training needs one value for each row of X.'


# Words of the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "study: --trials must be a whole number of at least 1, got 0."),
        (["--seeds", "1"], "study: --seeds must be a whole number of at least 2, got 1."),
        (["--jobs", "0"], "study: --jobs must be a whole number of at least 1, got 0."),
        (["--max-width", "0"], "study: --max-width must be a whole number of at least 1, got 0."),
        (["--seed", "-1"], "study: --seed must be a whole number in [0, 2**32), got -1."),
        (["--seed", "4294967296"], "study: --seed must be a whole number in [0, 2**32), got 4294967296."),
        (["--time-budget", "5x"], "study: --time-budget must be a time like 90s, 5m or 1h, got '5x'."),
        (["--time-budget", "-5m"], "study: --time-budget must be a time like 90s, 5m or 1h, got '-5m'."),
        (["--time-budget", "5s"], "study: --time-budget must be a number of at least 10, got 5.0."),
        (["--task", "guess"], 'study: --task must be classification or regression, got "guess".'),
        (["--trials", "x"], "study: --trials must be a whole number, got 'x'; see thinnet study --help."),
        (["--trails", "5"], "study: unrecognized arguments: --trails"),
        (["more", "words"], "study: unrecognized arguments: more words; see thinnet study --help."),
        (["--target"], "study: --target needs a value; see thinnet study --help."),
    ],
)
def test_options_that_cannot_be_used(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("study", "wine", *words, capsys=capsys).startswith(said)


@pytest.mark.parametrize("words", [["studdy"], ["--no-such-option"], ["predict"], ["predict", "run"]])
def test_commands_that_do_not_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"; see thinnet( predict)? --help\.$", refused(*words, capsys=capsys))


@pytest.mark.parametrize(("text", "seconds"), [("9", 9), ("9s", 9), ("0.15m", 9), ("0.0025 h", 9)])
def test_a_time_has_a_unit(text: str, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused("study", "wine", "--time-budget", text, capsys=capsys)
    assert said == f"study: --time-budget must be a number of at least 10, got {seconds:.1f}."


def test_the_value_that_is_refused_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--trials", "many"], ["--trials=many"]):
        assert "'many'" in refused("study", "wine", *words, capsys=capsys)


@pytest.mark.parametrize(
    "words", [[], ["--help"], *([command, "--help"] for command in ("study", "predict", "info", "bench"))]
)
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: thinnet")
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr() == (f"thinnet {thinnet.__version__}\n", "")


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info"]) == 0
    assert capsys.readouterr() == (f"{info.text()}\n", "")
    assert refused("info", "more", capsys=capsys).startswith("info: unrecognized arguments: more")


def test_bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Options] = []
    monkeypatch.setattr("thinnet._bench.bench", asked.append)
    words = ["bench", "--size", "8", "--size", "2**4", "--dtype", "float16", "--rate", "0.1"]
    assert cli.run(["bench"]) == 0
    assert cli.run([*words, "--seconds", "0.5", "--out", "a.svg", "--json", "a.json"]) == 0
    assert capsys.readouterr() == ("", "")
    files = {"chart": Path("a.svg"), "numbers": Path("a.json")}
    assert asked == [
        Options(),
        Options(sizes=("8", "2**4"), dtype="float16", rate=0.1, seconds=0.5, **files),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", "0"], "bench: --size must be a number from 1 to 2**28, like 4096 or 2**12, got '0'."),
        (["--dtype", "int8"], "bench: --dtype must be one of float32, float64, float16, got 'int8'."),
        (["--rate", "1.5"], "bench: --rate must be in (0, 1), got 1.5."),
        (["--rate", "half"], "bench: --rate must be a number, got 'half'"),
        (["--out", "chart.pdf"], "chart.pdf: the name of this file must end in .svg or .png."),
        (["--json", "no/numbers.json"], "no/numbers.json: cannot be written: no such file or folder."),
        (["16"], "bench: unrecognized arguments: 16"),
    ],
)
def test_a_bench_that_cannot_be_run(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("bench", *words, capsys=capsys).startswith(said)


def test_a_bench_that_is_stopped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Options) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thinnet._bench.bench", stop)
    assert cli.run(["bench"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


# Folders, packages


def test_a_folder_that_may_not_be_written_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    said = refused("study", prices(), "--target", "price", "--out", "run", capsys=capsys)
    assert (
        said
        == "run: cannot be created or written to: permission denied; choose a folder that you may write to."
    )


def test_a_file_in_the_place_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").write_text("mine")
    for out in ("run", "run/deeper"):
        said = refused("study", prices(), "--target", "price", "--out", out, capsys=capsys)
        assert said.startswith(f"{out}: cannot be created or written to: a part of the path is a file")


@pytest.mark.parametrize("package", ["optuna", "pandas", "pyarrow", "sklearn", "jinja2", "filelock"])
@pytest.mark.parametrize("command", [["study", "wine"], ["predict", "run", "new.csv"]])
def test_a_package_that_is_not_installed(
    package: str,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(*command, capsys=capsys)
    assert f"the package {package} is not installed" in said
    assert said.endswith('run: pip install "thinnet[study]"')


WITHOUT_EXTRAS = """
import builtins, sys
allowed = {"thinnet", "numpy", *sys.stdlib_module_names}
real = builtins.__import__
def guarded(name, *arguments, **options):
    level = arguments[3] if len(arguments) > 3 else options.get("level", 0)
    if level == 0 and name.partition(".")[0] not in allowed:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, *arguments, **options)
builtins.__import__ = guarded
from thinnet._cli import run
for words in (["--help"], ["--version"], ["info"], ["variants"], ["variants", "DropBlock2d"], ["gallery"],
              *([name, "--help"] for name in ("study", "predict", "bench", "gallery", "variants", "info"))):
    assert run(words) == 0, words
print(run(["study", "wine"]), run(["predict", "run", "new.csv"]))
"""


def test_help_info_and_variants_need_the_core_alone() -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRAS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("2 2\n")
    install = 'the package pandas is not installed; run: pip install "thinnet[study]"'
    assert done.stderr.splitlines() == [f"thinnet study: {install}", f"thinnet predict: {install}"]


def test_every_command_is_listed_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    files = {path.stem for path in Path(cli.__file__).parent.glob("[a-z]*.py")} - {"parser"}
    assert files == set(cli.COMMANDS)
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, summary in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", listed, re.M)
        assert cli.run([name, "--help"]) == 0
        assert summary in " ".join(capsys.readouterr().out.split())


def test_every_option_of_a_study_has_a_flag() -> None:
    parser = Parser("study", "")
    study_command.add_arguments(parser)
    flags = {action.dest for action in parser._actions} - {"help"}
    assert flags == {field.name for field in fields(StudyOptions) if field.init}


@pytest.mark.parametrize(
    "words",
    [
        ["run", "new.csv", "--out", "a.csv", "--missing", "?", "--missing", "-"],
        ["--out", "a.csv", "run", "--missing", "?", "new.csv", "--missing=-"],
        ["--out=a.csv", "--missing", "?", "--missing", "-", "--", "run", "new.csv"],
    ],
)
def test_options_may_stand_anywhere(words: list[str]) -> None:
    parser = Parser("predict", "")
    predict_command.add_arguments(parser)
    found = parser.parse(words)
    assert (found.folder, found.source, found.out) == ("run", "new.csv", Path("a.csv"))
    assert found.missing == ["?", "-"]


def test_info_imports_the_core_alone() -> None:
    code = "import sys, numpy; old = set(sys.modules); import thinnet._info as info; info.text();" + (
        "print({name.partition('.')[0] for name in set(sys.modules) - old} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) <= {"thinnet", "numpy"}


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["info"], ["study", "wine"], ["bench"]])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("THINNET_ISA", "avx9", f"must be one of {', '.join(native.bodies())} on this machine, got 'avx9'."),
        ("THINNET_NUM_THREADS", "0", "must be a whole number of at least 1, got 0."),
        ("THINNET_NUM_THREADS", "two", "must be a whole number of at least 1, got 'two'."),
    ],
)
def test_an_environment_that_cannot_be_used(command: list[str], name: str, value: str, said: str) -> None:
    whole = [sys.executable, "-m", "thinnet", *command]
    environment = os.environ | {name: value}
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{name}: {said}\n")


def test_a_process_refuses_as_the_function_does() -> None:
    command = [sys.executable, "-m", "thinnet", "study", prices(), "--target", "Prize"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'houses.csv: there is no column "Prize"; did you mean "price"?\n'


# Variants


def test_variants_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    from thinnet.variants._guide import page, table

    assert cli.run(["variants"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["variant", "site", "pattern", "rate"]
    assert [line.split()[0] for line in lines[1:]] == [line.name for line in table()]
    assert cli.run(["variants", "--site", "branch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["variant", *(line.name for line in table("branch"))]
    assert lines[1].endswith(table("branch")[0].doc)
    assert cli.run(["variants", "Zoneout"]) == 0
    assert capsys.readouterr().out == page("Zoneout")


def test_variants_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused("variants", "Zonout", capsys=capsys).endswith("did you mean 'Zoneout'?")
    assert refused("variants", "cutot", capsys=capsys).endswith("did you mean 'Cutout'?")
    both = ("variants", "Dropout", "--site", "weight")
    assert refused(*both, capsys=capsys) == "variants: give a variant or --site, not both."
    assert refused("variants", "--site", "x", capsys=capsys).startswith(
        "variants: there is no site 'x'; choose"
    )
