"""The body in use, the absence of compiled kernels, and calls of kernels that must not crash."""

from __future__ import annotations

import array
import hashlib
import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet._core import native
from thinnet.errors import InputError

from .processes import printed, python

COMPILED = [body for body in native.bodies() if body != native.NUMPY]
compiled = pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}")


def test_numpy_is_always_there_and_always_last() -> None:
    bodies = native.bodies()
    assert bodies[-1] == native.NUMPY
    assert len(set(bodies)) == len(bodies)
    assert native.name() in bodies
    assert bool(native.why_not) == (not COMPILED)


@compiled
def test_any_processor_has_the_portable_body() -> None:
    assert COMPILED[-1] == "portable"


@pytest.mark.parametrize("body", native.bodies())
def test_a_body_is_used_for_the_length_of_a_block(body: str) -> None:
    before, library = native.name(), native.library
    with native.using(body):
        assert native.name() == body
        assert (native.library is None) == (body == native.NUMPY)
        with native.using(native.NUMPY):
            assert native.name() == native.NUMPY
        assert native.name() == body
    assert (native.name(), native.library) == (before, library)


def test_the_former_body_comes_back_after_an_error() -> None:
    before = native.name()
    with pytest.raises(KeyError), native.using(native.NUMPY):
        raise KeyError
    assert native.name() == before


def test_a_body_is_used_by_every_thread() -> None:
    seen: list[str] = []
    with native.using(native.NUMPY):
        thread = threading.Thread(target=lambda: seen.append(native.name()))
        thread.start()
        thread.join()
    assert seen == [native.NUMPY]


@pytest.mark.parametrize("name", ["sse2", "", "AVX2", "numpy ", "portable\n", None, 3, "neon\0"])
def test_an_unknown_body_is_refused_in_one_line(refusal: Callable[..., str], name: Any) -> None:
    before = native.name()
    line = refusal(InputError, native.use, name)
    assert line == f"use: must be one of {', '.join(native.bodies())} on this machine, got {name!r}."
    assert native.name() == before


def test_a_refused_block_is_not_entered(refusal: Callable[..., str]) -> None:
    before = native.name()
    assert "got 'sse2'" in refusal(InputError, lambda: native.using("sse2").__enter__())
    assert native.name() == before


NAME = "from thinnet._core import native; print(native.name())"


@pytest.mark.parametrize("body", native.bodies())
def test_a_variable_of_the_environment_forces_a_body(body: str) -> None:
    assert printed(NAME, THINNET_ISA=body) == body
    assert printed(NAME, THINNET_ISA=f" {body.upper()} ") == body


def test_the_best_body_is_taken_without_it() -> None:
    assert printed(NAME) == native.bodies()[0]


@pytest.mark.parametrize("arguments", [("--version",), ("study", "digits"), ("predict", "a", "b"), ()])
def test_a_wrong_variable_is_one_line_and_exit_code_two(arguments: tuple[str, ...]) -> None:
    done = python("-m", "thinnet", *arguments, THINNET_ISA="sse2\nx")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"THINNET_ISA: must be one of {', '.join(native.bodies())} on this machine, got 'sse2\\nx'.\n"
    )


def test_a_wrong_variable_is_refused_wherever_a_kernel_is_first_needed() -> None:
    script = """
import thinnet as tn
for i in range(2):
    try:
        tn.dropout
    except tn.InputError as error:
        print(error)
"""
    first, second = printed(script, THINNET_ISA="sse2").splitlines()
    assert first == second
    assert first.startswith("THINNET_ISA: must be one of ")


# A package that was installed without a compiler has no thinnet._native.
WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "thinnet._native":
            raise {error}

sys.meta_path.insert(0, Blocker())
import hashlib, numpy as np
import thinnet as tn
from thinnet._core import native
"""
DRAWN = """
y = tn.dropout(np.linspace(-3, 3, 100_001, dtype="f4"), 0.3, key=tn.Key(2014, 7))
layers = tn.net.Dense(3, 8), tn.net.ReLU(), tn.net.Dropout(0.5), tn.net.Dense(8, 2)
net = tn.net.Network(layers, key=tn.Key(0))
net.fit(np.eye(3), np.array([0, 1, 1]), epochs=5)
print(hashlib.sha256(y.tobytes()).hexdigest(), hashlib.sha256(net.flat.tobytes()).hexdigest())
"""
MISSING = "ModuleNotFoundError(name, name=name)"


def test_without_compiled_kernels_numpy_gives_the_same() -> None:
    state = "print(native.bodies(), native.name(), native.library, bool(native.why_not))\n"
    lines = printed(WITHOUT.format(error=MISSING) + state + DRAWN).splitlines()
    assert lines[0] == "['numpy'] numpy None True"
    with_kernels = printed("import hashlib, numpy as np, thinnet as tn\n" + DRAWN)
    assert lines[1] == with_kernels


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (MISSING, r"not built: .*compiler.*"),
        ('ImportError("libstdc++.so.6: version not found")', r"does not load: libstdc\+\+.*not found"),
    ],
)
def test_why_there_are_no_kernels_is_said(error: str, why: str) -> None:
    assert re.fullmatch(why, printed(WITHOUT.format(error=error) + "print(native.why_not)"))


def test_without_compiled_kernels_none_can_be_asked_for() -> None:
    script = WITHOUT.format(error=MISSING).replace("from thinnet._core import native", "")
    done = python("-c", script + "import thinnet._core.native", THINNET_ISA="portable")
    assert done.returncode == 1
    assert done.stderr.endswith("THINNET_ISA: must be one of numpy on this machine, got 'portable'.\n")


def test_the_catalogue_is_the_same_in_every_body(example: Callable[..., Any]) -> None:
    for name in tn.CATALOGUE:
        x, more = example(name, 20_000)
        hashes = set()
        for body in native.bodies():
            with native.using(body):
                hashes.add(hashlib.sha256(tn.drop(name, x, 0.3, key=tn.Key(5), **more).tobytes()).hexdigest())
        assert len(hashes) == 1, name


# Errors of the functions of thinnet._native for arguments that thinnet._core.kernels never passes.
ERRORS = (ValueError, TypeError, BufferError, RuntimeError, MemoryError, OverflowError, IndexError)
HERE = """
import numpy as np
from thinnet import _native as n
f, g = np.ones(100, np.float32), np.ones(100, np.float32)
h, kept, words = np.zeros(100, np.uint16), np.zeros(100, bool), np.zeros(400, np.uint32)
rows, bias, gains = np.ones((30, 20), np.float32), np.ones(20, np.float32), np.ones(65536, np.float32)
fixed = np.ones(100, np.float32); fixed.flags.writeable = False
POINT = 0.0, 0, 0, (), 20000, 0.0, 0.0, 1.0, 0.0
DENSE = 0, 0, 1, 0.0, 20000, 1.0
STEP = 3, 0.1, 0.0, 1.0, 0.5, 0.5, 0.1, 1.0
"""
REFUSED = """
n.use("numpy")
n.use("")
n.use(None)
n.lanes(f, 0, 0, (), 0, -1)
n.lanes(h[::2], 0, 0, (), 0, -1)
n.lanes(h, 0, 0, (), 5, 4)
n.lanes(h, 0, 0, (), -1, 4)
n.lanes(h, 0, 0, (), 0, 101)
n.lanes(h, 0, 0, (), 2**63 - 1, -1)
n.lanes(h, 2**64, 0, (), 0, -1)
n.lanes(h, 0, -1, (), 0, -1)
n.lanes(h, 0, 0, None, 0, -1)
n.lanes(h, 0, 0, (0,), 0, -1)
n.lanes(h, 0, 0, (0, ()), 0, -1)
n.lanes(h, 0, 0, (0, (1,), ()), 0, -1)
n.lanes(h, 0, 0, (0, (1, 1)), 0, -1)
n.lanes(h, 0, 0, (0, (-1,)), 0, -1)
n.lanes(h, 0, 0, (-1, (1,)), 0, -1)
n.lanes(h, 0, 0, (2**64, (1,)), 0, -1)
n.lanes(h, 0, 0, ("a", "b"), 0, -1)
n.lanes(h, 0, 0, (2**63 - 1, (1,)), 0, -1)
n.lanes(h, 0, 0, (0, (2**63 - 1,)), 0, -1)
n.lanes(None, 0, 0, (), 0, -1)
n.lanes(b"0123456789", 0, 0, (), 0, -1)
n.mask(f, 0, 0, (), 1, 0, -1)
n.mask(kept, 0, 0, (), -1, 0, -1)
n.mask(kept, 0, 0, (), 2**32, 0, -1)
n.mask(kept, 0, 0, (), 0.5, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0,), (100,), (1,), 1)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0,), (100,), (1,), 0, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0,), (100,), (1,), 2, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0,), (100,), (0,), 1, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0,), (0,), (1,), 1, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100,), (0, 0), (100,), (1,), 1, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((1,) * 70, (0,) * 70, (1,) * 70, (1,) * 70, 1, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((2**63 - 1,), (0,), (100,), (2**62,), 1, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100, 100), (0, 0), (2**40, 2**40), (1, 1), 2, 5)), 1, 0, -1)
n.mask(kept, 0, 0, (0, (1,), ((100, 100), (0, 0), (2**32, 2**32), (1, 1), 2, 5)), 1, 0, -1)
n.two_point(f, g[:50], *POINT, 0, -1)
n.two_point(f, h, *POINT, 0, -1)
n.two_point(f, f.astype(float), *POINT, 0, -1)
n.two_point(f, fixed, *POINT, 0, -1)
n.two_point(f, g, g[:50], *POINT[1:], 0, -1)
n.two_point(f, g, g.astype(float), *POINT[1:], 0, -1)
n.two_point(f, g, None, *POINT[1:], 0, -1)
n.two_point(f, g, 1, *POINT[1:], 0, -1)
n.two_point(f.astype(int), f.astype(int), *POINT, 0, -1)
n.two_point(f.astype("g"), f.astype("g"), *POINT, 0, -1)
n.two_point(f.astype(object), f.astype(object), *POINT, 0, -1)
n.two_point(f, g, *POINT, 5, 4)
n.two_point(f, g, *POINT, 0, 2**62)
n.two_point(f, g, *POINT)
n.table(f, g, None, gains[:-1], None, 0, 0, (), 0, -1)
n.table(f, g, f, gains, None, 0, 0, (), 0, -1)
n.table(f, g, None, gains, gains, 0, 0, (), 0, -1)
n.table(f, g, f, gains, gains[:-1], 0, 0, (), 0, -1)
n.table(f, g, None, gains.astype(float), None, 0, 0, (), 0, -1)
n.table(f, g, None, np.broadcast_to(gains[:1], 65536), None, 0, 0, (), 0, -1)
n.table(f, fixed, None, gains, None, 0, 0, (), 0, -1)
n.words(0, 0, 2**64, words)
n.words(0, 0, 0, words[:5])
n.words(0, 0, 0, words.astype(">u4"))
n.words(0, 0, 0, words.view(np.int32))
n.dense_forward(f, f, bias, *DENSE, 0, -1)
n.dense_forward(rows, rows[:5], bias, *DENSE, 0, -1)
n.dense_forward(rows, rows, bias[:5], *DENSE, 0, -1)
n.dense_forward(rows, rows, bias.astype(float), *DENSE, 0, -1)
n.dense_forward(rows[:, :5], rows[:, :5], bias[:5], *DENSE, 0, -1)
n.dense_forward(rows.astype("f2"), rows.astype("f2"), bias.astype("f2"), *DENSE, 0, -1)
n.dense_forward(rows, rows, bias, 0, 0, 7, *DENSE[3:], 0, -1)
n.dense_forward(rows, rows, bias, 0, 0, -1, *DENSE[3:], 0, -1)
n.dense_forward(rows, rows, bias, *DENSE, 0, 31)
n.dense_backward(rows, rows[:5], *DENSE, 0, -1)
n.dense_backward(rows, rows.astype(float), *DENSE, 0, -1)
n.dense_backward(rows, rows, *DENSE, 2, 1)
n.update(f, f, f, f[:5], *STEP, 0, 0, 1.0, 0, -1)
n.update(f, f.astype(float), f, f, *STEP, 0, 0, 1.0, 0, -1)
n.update(fixed, f, f, f, *STEP, 0, 0, 1.0, 0, -1)
n.update(f[::2], f[::2], f[::2], f[::2], *STEP, 0, 0, 1.0, 0, -1)
n.update(h, h, h, h, *STEP, 0, 0, 1.0, 0, -1)
n.update(f, f, f, f, 4, *STEP[1:], 0, 0, 1.0, 0, -1)
n.update(f, f, f, f, *STEP, 0, 7, 1.0, 0, -1)
n.update(f, f, f, f, *STEP, 0, -10, 1.0, 0, -1)
n.update(f, f, f, f, *STEP, 0, 10, 1.0, 0, 11)
n.update(f[:0], f[:0], f[:0], f[:0], *STEP, 0, 2**40, 1.0, 0, -1)
n.two_point_at(0, 0, 10, 4, 0, 0, 100, 0.0, 1.0)
n.two_point_at(0, 0, 10, -1, 0, 0, 100, 0.0, 1.0)
n.two_point_at(0, 0, 10, 2, 0, 0, 65537, 0.0, 1.0)
n.two_point_at(-1, 0, 10, 2, 0, 0, 100, 0.0, 1.0)
""".strip().splitlines()


@compiled
def test_wrong_arguments_are_refused_by_every_body() -> None:
    # In another process, one call after the other: the last line before a crash names the call.
    script = HERE + f"errors = {', '.join(error.__name__ for error in ERRORS)}\n"
    script += f"calls = {REFUSED!r}\n"
    script += """
for body in n.bodies():
    n.use(body)
    for call in calls:
        print(body, call, flush=True)
        try:
            eval(call)
        except errors:
            continue
        print("not refused")
print("done")
"""
    done = python("-X", "faulthandler", "-c", script)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "done"), lines[-1]
    accepted = [call for call, after in itertools.pairwise(lines) if after == "not refused"]
    assert accepted == []


@compiled
@pytest.mark.parametrize("threshold", [65536, 65537, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_threshold_above_all_lanes_is_refused_or_drops_everything(threshold: int) -> None:
    rows, shared = np.ones((30, 100), np.float32), (0, (1, 0))
    kept, out = np.ones(rows.shape, bool), np.ones_like(rows)
    for body in COMPILED:
        with native.using(body):
            for where in ((), shared):
                try:
                    native.library.mask(kept, 0, 0, where, threshold, 0, -1)
                    native.library.two_point(
                        rows, out, 0.0, 0, 0, where, threshold, 0.0, 0.0, 1.0, 0.0, 0, -1
                    )
                except ValueError:
                    continue
                assert not kept.any(), body
                assert not out.any(), body


@compiled
@pytest.mark.parametrize("shift", [-9, -1, 0, 1, 9])
def test_arrays_that_overlap_are_not_written_beyond(shift: int) -> None:
    for body in COMPILED:
        memory = np.full(5020, 7, np.float32)
        out, others = memory[10:5010], memory[10 + shift : 5010 + shift]
        moments = others, others
        with native.using(body):
            native.library.two_point(others, out, others, 0, 0, (), 9000, 0.0, 1.0, 1.0, 1.0, 0, -1)
            native.library.update(
                out, others, *moments, 3, 0.1, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0, 0, 1.0, 0, -1
            )
        low, high = min(10, 10 + shift), max(5010, 5010 + shift)
        assert (memory[:low] == 7).all(), body
        assert (memory[high:] == 7).all(), body


@compiled
@pytest.mark.parametrize(("number", "dtype"), [*enumerate(["f2", "u2", "f4", "f8"])])
@pytest.mark.parametrize("count", [0, 1, 7, 64, 1000, 40_000])
def test_addresses_do_what_buffers_do(number: int, dtype: str, count: int) -> None:
    x = np.random.default_rng(0).normal(size=count).astype("f4")
    x = x.view("u2")[::2].copy() if dtype == "u2" else x.astype(dtype)
    for body in COMPILED:
        out, expected = np.zeros((2, count + 1), x.dtype)
        with native.using(body):
            native.library.two_point(x, expected[:count], 0.0, 5, 3, (), 20_000, 0.0, 0.0, 1.5, 0.0, 0, -1)
            native.library.two_point_at(x.ctypes.data, out.ctypes.data, count, number, 5, 3, 20_000, 0.0, 1.5)
        assert np.array_equal(out.view(np.uint8), expected.view(np.uint8)), body


@compiled
def test_other_objects_with_a_buffer_are_welcome() -> None:
    x, y = array.array("f", [1.0] * 50), array.array("f", [0.0] * 50)
    native.library.two_point(x, y, 0.0, 0, 0, (), 0, 0.0, 0.0, 2.0, 0.0, 0, -1)
    assert y.tolist() == [2.0] * 50
    native.library.two_point(x, memoryview(y), 0.0, 0, 0, (), 65536, 0.0, 0.0, 2.0, 0.0, 0, -1)
    assert y.tolist() == [0.0] * 50


@compiled
def test_kernels_of_another_version_are_not_used() -> None:
    script = """
import thinnet._native as kernels
fold = kernels.fold
del kernels.fold
import thinnet as tn
from thinnet._core import native
print(native.name(), native.why_not)
print(tn.Key(0).fold(0).value == 0x1348e23f2dce73e5)
"""
    name, right = printed(script).splitlines()
    assert name == "numpy built from another version of thinnet, without fold; install it again"
    assert right == "True"
