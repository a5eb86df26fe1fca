"""The door: `thinnet study`, `predict`, `info`, `bench`. One line and exit code 2 for whatever is wrong."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import thinnet
from thinnet.errors import InputError, ThinnetError, need

__all__ = ["app", "run"]

app = typer.Typer(
    name="thinnet",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does dropout help on your data, how much of it, and where?",
)

_NEEDED = (
    *("pandas", "pyarrow", "sklearn", "threadpoolctl", "optuna"),
    *("jinja2", "matplotlib", "safetensors", "rich", "filelock"),
)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"thinnet {thinnet.__version__}")
        raise typer.Exit


@app.command()
def study(
    data: Annotated[
        str,
        typer.Argument(help="A .csv, .tsv, .parquet or .npz file, or digits, breast_cancer, diabetes, wine."),
    ] = "digits",
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/NAME if not given.")] = None,
    task: Annotated[
        str | None, typer.Option(help="classification or regression, if the guess is wrong.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Rows alike in this column stay together.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A text that stands for a missing value.")] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="A column of names that look like numbers.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out.")] = None,
    trials: Annotated[int, typer.Option(help="Trials a side.")] = 20,
    seeds: Annotated[int, typer.Option(help="Seeds to confirm over.")] = 5,
    max_width: Annotated[int, typer.Option(help="The widest hidden layer to grow to.")] = 512,
    time_budget: Annotated[str | None, typer.Option(help="Stop in time: 90s, 5m, 1h.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes; one a core if not given.")] = None,
    storage: Annotated[str | None, typer.Option(help="An Optuna storage URL that machines share.")] = None,
    variants: Annotated[
        str,
        typer.Option(help="Dropouts to search, as Dropout,GaussianDropout."),
    ] = "Dropout",
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but the verdict.")] = False,
) -> None:
    """Find out whether dropout helps on a table, how much of it, and where."""
    _need_study()
    from thinnet.study._run import Options
    from thinnet.study._run import study as run_study
    from thinnet.study._tables.problem import Columns

    options = Options(
        source=data,
        out=out,
        columns=Columns(target, task, group, tuple(category or ()), tuple(drop or ())),
        missing=tuple(missing or ()),
        seed=seed,
        trials=trials,
        seeds=seeds,
        max_width=max_width,
        time_budget=None if time_budget is None else _seconds(time_budget),
        jobs=jobs,
        storage=storage,
        quiet=quiet,
        variants=tuple(name.strip() for name in variants.split(",") if name.strip()),
    )
    try:
        results = run_study(options)
    except KeyboardInterrupt:
        print("\nStopped. What was trained is kept; the same command goes on from there.", file=sys.stderr)
        raise typer.Exit(130) from None
    for line in _summary(results):
        print(line)
    print(f"report: {options.folder / 'report.html'}")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or its model.safetensors.")],
    data: Annotated[
        str, typer.Argument(help="New rows: the columns of the study's table, without the target.")
    ],
    out: Annotated[Path | None, typer.Option(help="A CSV file; printed if not given.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A text that stands for a missing value.")] = None,
) -> None:
    """Predict for new rows with a study's network."""
    _need_study()
    from thinnet.study._predict import predict as run_predict
    from thinnet.study._predict import to_csv

    predictions = run_predict(run, data, out, tuple(missing or ()))
    if out is None:
        print(to_csv(predictions), end="")
    else:
        print(f"{out}: {len(predictions):,} predictions")


@app.command()
def info() -> None:
    """Say what thinnet runs on here."""
    from thinnet._info import text

    print(text())


@app.command()
def bench(
    size: Annotated[
        list[str] | None, typer.Option(help="Entries, 4096 or 2**12; give it again for more sizes.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, float64 or float16.")] = "float32",
    rate: Annotated[float, typer.Option(help="Chance that an entry is dropped.")] = 0.5,
    seconds: Annotated[float, typer.Option(help="About how long to measure in all.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="A chart to write: .svg or .png.")] = None,
    json: Annotated[Path | None, typer.Option(help="A file for the numbers: .json.")] = None,
) -> None:
    """Time dropout here against its rivals."""
    from thinnet._bench import Options
    from thinnet._bench import bench as run_bench

    asked = {} if size is None else {"sizes": tuple(size)}
    options = Options(**asked, dtype=dtype, rate=rate, seconds=seconds, chart=out, numbers=json)
    try:
        run_bench(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def variants(
    name: Annotated[str | None, typer.Argument(help="Tell all about one.")] = None,
    site: Annotated[str | None, typer.Option(help="Only those that act there, as on branch.")] = None,
) -> None:
    """List every dropout there is, or explain one: formula, usual rate, reference."""
    from thinnet.variants import _guide as guide

    if name is not None and site is not None:
        raise InputError("variants: name a variant or a --site, not both.")
    if name is not None:
        print(guide.page(name), end="")
        return
    listed = guide.table(site)
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, listed), strict=True)]
    # A line a variant on a screen, all of it in a file.
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in listed:
        cells = [f"{cell:<{width}}" for cell, width in zip(_cells(line), widths, strict=True)]
        text = "  ".join([*cells, line.doc])
        print(text if most is None or len(text) <= most else f"{text[: most - 1]}…")


def _cells(line: Any) -> tuple[str, ...]:
    return line.name, line.site, line.pattern or "function", line.usual


@app.command()
def gallery(
    name: Annotated[str | None, typer.Argument(help="Which one; all are listed if none is named.")] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="files", help="More files of --data.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for the picture.")] = Path("gallery"),
    data: Annotated[
        list[Path] | None, typer.Option(help="Data instead of its own: one file or folder, or several.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="numpy, or torch (overfit, convnet): trained in PyTorch, with the same masks.")
    ] = "numpy",
) -> None:
    """Run a classic experiment that taught people dropout: figures over seeds, a picture; a minute or so."""
    from thinnet import gallery

    if name is None:
        width = max(map(len, gallery.EXHIBITS))
        for known, about in gallery.EXHIBITS.items():
            print(f"{known:<{width}}  {about}")
        return
    _need_study()
    for line in gallery.show(name, out, data=[*(data or ()), *(more or ())], backend=backend):
        print(line)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    try:
        code = app(arguments or ["--help"], standalone_mode=False)
        return code if isinstance(code, int) else 0
    except ThinnetError as error:
        return _fail(str(error))
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        # Typer's errors about the command's own words know how to say themselves.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        return _fail(f"thinnet: {say().rstrip('.')}{_got(say(), arguments)}; see thinnet --help.")


def _got(message: str, arguments: list[str]) -> str:
    """Return the value of the option that a message names, which Typer leaves out."""
    option = re.search(r"Invalid value for '(--[\w-]+)'", message)
    for i, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if option is not None and name == option[1]:
            return f", got {value if equals else ' '.join(arguments[i + 1 : i + 2])!r}"
    return ""


def _fail(line: str) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return 2


def _need_study() -> None:
    for module in _NEEDED:
        need(module, extra="study", owner="thinnet study")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if found is None:
        raise InputError(f"study: --time-budget must be a time like 90s, 5m or 1h, got {text!r}.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def _summary(results: dict[str, Any]) -> list[str]:
    percent = results["metric"] == "error"

    def shown(score: float) -> str:
        return f"{100 * score:.2f} %" if percent else f"{score:.4g}"

    name = "test error" if percent else "test RMSE"
    best = results["recommended"]
    settings = results["dropout"]["settings"]
    norm = "no max-norm" if settings["max_norm"] is None else f"max-norm {settings['max_norm']:.2f}"
    variants = [
        f"{row['variant']} {row['validation_loss']:.4g} ({row['trials']} trials)"
        for row in results.get("variants", ())
    ]
    searched = "" if settings["variant"] in ("Dropout", None) and not variants else f", {settings['variant']}"
    return [
        "",
        results["sentence"],
        f"  {name}, mean over {len(results['dropout']['scores'])} seeds: with dropout "
        f"{shown(results['dropout']['mean'])}, without {shown(results['baseline']['mean'])}, "
        f"boosted trees {shown(results['boosting']['score'])}, constant guess {shown(results['chance'])}",
        f"  best with dropout: {results['dropout']['network']}, input {settings['input_rate']:.2f}, "
        f"hidden {settings['hidden_rate']:.2f}, {norm}{searched}",
        *([f"  least validation loss of each variant: {', '.join(variants)}"] if variants else []),
        f"  recommended: {'with' if best['side'] == 'dropout' else 'without'} dropout, since {best['why']}",
    ]
