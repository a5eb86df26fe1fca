"""Every variant that has functions of its own: its texts, and the properties that all of them share."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet._core import native
from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.variants import CATALOGUE, FUNCTIONS, FunctionVariant, find

EVERY = pytest.mark.parametrize("entry", FUNCTIONS.values(), ids=FUNCTIONS)


sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import vectors as golden  # noqa: E402 - a tool of the repository, by its path

Call = Callable[..., Any]
DRAWN = golden.CALLS
DRAWS = pytest.mark.parametrize("name", DRAWN)
# Those whose parts of a larger array can be drawn alone, and the axes along which it is cut.
SHARDED = {
    "ConcreteDropout": (0, 1),
    "VariationalDropout": (0, 1),
    "SparseVariationalDropout": (0,),
    "Standout": (0, 1),
    "MaxPoolDropout": (0, 1),
    "ShakeDrop": (0, 1),
    "PatchDropout": (0,),
    "Cutout": (0, 1, 2, 3),
    "DropHead": (0, 1, 2, 3),
    "NEFTune": (0, 1, 2),
}

# Those that take a rate.
RATED = {
    *("TargetedDropout", "MaxPoolDropout", "ShakeDrop", "Shakeout", "PatchDropout", "DropHead"),
    "MultiSampleDropout",
}


def some(name: str, dtype: str = "float64") -> Any:
    return golden.array(name, dtype)


@EVERY
def test_a_variant_has_a_source_a_text_and_a_reason(entry: FunctionVariant) -> None:
    assert FUNCTIONS[entry.name] is entry
    assert entry.name not in CATALOGUE
    assert any(year in entry.cite for year in map(str, range(1990, 2030)))
    assert entry.doc.endswith(".")
    assert entry.helps.endswith(".")
    assert not entry.differs or entry.differs.endswith(".")
    assert entry.why
    assert entry.usual is None or 0 < entry.usual <= 1
    for function in entry.functions:
        assert function.__name__ in tn.__all__
        doc = inspect.getdoc(function) or ""
        assert "Examples" in doc
        assert "References" in doc


def test_each_that_draws_is_in_the_tables_of_this_file() -> None:
    drawing = {name for name in FUNCTIONS if name not in ("RDrop", "drop_edges", "dare_merge")}
    assert set(DRAWN) == drawing


@EVERY
def test_drop_names_the_function_instead(entry: FunctionVariant, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, find, entry.name)
    assert line.endswith(f"use thinnet.{entry.functions[0].__name__}().")


@DRAWS
def test_rate_0_changes_nothing_and_rate_1_is_finite(name: str) -> None:
    call, x = DRAWN[name][1], some(name)
    none = call(x, 0.0, key=Key(0))
    assert np.allclose(none, call(x, 0.0, key=Key(0), mode="mean"), atol=1e-9)
    assert np.isfinite(call(x, 1.0, key=Key(0))).all()


@DRAWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mode", ["sample", "mean"])
def test_dtypes_are_kept_and_what_is_drawn_does_not_depend_on_them(name: str, dtype: str, mode: str) -> None:
    call, x = DRAWN[name][1], some(name, "float16")
    y = call(x.astype(dtype), 0.3, key=Key(3), mode=mode)
    assert y.dtype == dtype
    exact = call(x.astype("float64"), 0.3, key=Key(3), mode=mode)
    assert np.allclose(y, exact, rtol=4e-3 if dtype == "float16" else 1e-5, atol=4e-3)


@DRAWS
def test_a_key_is_a_sample_and_another_key_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, x = DRAWN[name][1], some(name)
    y = call(x, 0.4, key=Key(3))
    assert np.array_equal(call(x, 0.4, key=Key(3)), y)
    assert not np.array_equal(call(x, 0.4, key=Key(4)), y)
    assert not np.array_equal(call(x, 0.4, key=Key(3).at(1)), y)
    monkeypatch.setattr(native, "library", None)
    assert np.array_equal(call(x, 0.4, key=Key(3)), y)


@pytest.mark.parametrize(
    "name", sorted(set(DRAWN) - {"Cutout", "PatchDropout"})
)  # their mean keeps everything
def test_the_mean_of_samples_is_what_the_mean_network_applies(name: str) -> None:
    call, x, steps = DRAWN[name][1], some(name), 400
    samples = np.stack([call(x, 0.3, key=Key(7).at(step)) for step in range(steps)])
    wanted = np.broadcast_to(call(x, 0.3, key=Key(7), mode="mean"), samples.shape[1:])
    if (
        name == "TargetedDropout"
    ):  # never scaled: its mean is keep, and inference takes the weights as they are
        wanted = 0.7 * wanted
    # Five standard deviations of the whole array's mean, weighted by what is expected.
    along = (samples * wanted).sum(axis=tuple(range(1, samples.ndim)))
    assert abs(along.mean() - np.square(wanted).sum()) < 5 * along.std() / steps**0.5


@pytest.mark.parametrize("name", SHARDED)
def test_shards_are_parts_of_the_whole(name: str) -> None:
    call, x = DRAWN[name][1], some(name)
    whole = call(x, 0.4, key=Key(5, 6))
    for axis in SHARDED[name]:
        cut = x.shape[axis] // 3
        parts = []
        for first, last in ((0, cut), (cut, x.shape[axis])):
            spot = tuple(slice(first, last) if i == axis else slice(None) for i in range(x.ndim))
            start = tuple(first if i == axis else 0 for i in range(x.ndim))
            window = Window(x.shape, start, x[spot].shape)
            parts.append(call(x[spot], 0.4, key=Key(5, 6), window=window))
        assert np.allclose(np.concatenate(parts, axis), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("file", golden.FILES)
def test_the_golden_vectors_are_what_is_drawn(file: str) -> None:
    draw, write = golden.FILES[file]
    known = (golden.HOME / f"{file}.json").read_text("utf-8")
    assert write(draw(json.loads(known))) == known


@DRAWS
def test_bad_input_is_one_line(name: str, refusal: Callable[..., str]) -> None:
    call, x = DRAWN[name][1], some(name)
    start = "VariationalDropout" if name == "SparseVariationalDropout" else name

    def line_of(*arguments: Any, **options: Any) -> str:
        line = refusal(InputError, call, *arguments, **options)
        assert line.startswith(f"{start}: ")
        return line

    if name != "MaxPoolDropout":  # np.abs comes first there
        assert "masked array" in line_of(np.ma.masked_array(x), 0.5, key=Key(0))
    assert "got int64" in line_of(np.ones(x.shape, np.int64), 0.5, key=Key(0))
    assert "use thinnet.Key(0)" in line_of(x, 0.5, key=0)
    assert "got 'all'" in line_of(x, 0.5, key=Key(0), mode="all")
    if name in RATED:
        assert "[0, 1], got 1.5" in line_of(x, 1.5, key=Key(0))
        assert "[0, 1], got nan" in line_of(x, float("nan"), key=Key(0))
    if name in ("MaxPoolDropout", "PatchDropout", "Cutout", "DropHead", "NEFTune"):
        assert f"got {x.shape[1:]}" in line_of(x[0], 0.5, key=Key(0))
    if name in SHARDED:
        assert "the window has size (1,)" in line_of(x, 0.5, key=Key(0), window=Window.whole((1,)))


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"SparseVariationalDropout"}))
@pytest.mark.parametrize("mode", ["sample", "mean"])
def test_nothing_is_dropped_from_nothing(name: str, mode: str) -> None:
    shape, call = DRAWN[name]
    assert 0 in call(np.ones((0, *shape[1:])), 0.3, key=Key(0), mode=mode).shape


@DRAWS
@pytest.mark.filterwarnings("error")
def test_float16_may_overflow_in_silence(name: str) -> None:
    call, shape = DRAWN[name][1], DRAWN[name][0]
    call(np.full(shape, 60000, np.float16), 0.5, key=Key(0))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (tn.concrete_dropout, "logit"),
        (tn.variational_dropout, "log_alpha"),
        (tn.standout, "logits"),
    ],
)
def test_parameters_are_checked(call: Call, name: str, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, call, np.ones(2), np.zeros((3, 2)), key=Key(0))
    assert line.endswith(f"{name} must be numbers that broadcast against (2,), got shape (3, 2).")
    line = refusal(InputError, call, np.ones(2), "a", key=Key(0))
    assert line.endswith(f"{name} must be real numbers, got 'a'.")
    assert f"{name} must not hold NaN" in refusal(InputError, call, np.ones(2), np.nan, key=Key(0))
