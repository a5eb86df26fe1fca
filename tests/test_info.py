"""What `thinnet info` says: read from the machine and from the package's own metadata."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import thinnet
from thinnet import _info as info
from thinnet._core import native


def line(beginning: str) -> str:
    """Return the one line of `thinnet info` that begins so."""
    found = [line for line in info.text().splitlines() if line.startswith(beginning)]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that pretends other versions, None for a package that is not there."""
    real = metadata.version

    def pretend(**versions: str | None) -> None:
        def version(package: str) -> str:
            if package not in versions:
                return real(package)
            found = versions[package]
            if found is None:
                raise metadata.PackageNotFoundError(package)
            return found

        monkeypatch.setattr(metadata, "version", version)

    return pretend


def test_the_versions_come_first() -> None:
    said = info.text().splitlines()
    assert said[0] == f"thinnet {thinnet.__version__}"
    assert said[1] == f"Python {platform.python_version()}, NumPy {np.__version__}"
    assert said[2] == f"{info.processor()}, {platform.system()} {platform.machine()}"


# Instruction set and threads


@pytest.mark.parametrize("body", native.bodies())
def test_the_body_in_use_and_the_others(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THINNET_ISA", raising=False)
    with native.using(body):
        said = line("instruction set: ")
        if native.bodies() == [native.NUMPY]:
            assert said == f"instruction set: none, the NumPy twin is in use ({native.why_not})"
            return
        assert said.startswith(f"instruction set: {body}")
        assert ("the NumPy twin" in said) == (body == native.NUMPY)
        others = line("  also here: ").removeprefix("  also here: ").removesuffix(" (THINNET_ISA chooses)")
    assert [body, *others.split(", ")] == sorted(native.bodies(), key=lambda name: name != body)


def test_without_compiled_kernels_one_line_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compiled", None)
    monkeypatch.setattr(native, "library", None)
    monkeypatch.setattr(native, "why_not", "does not load: libc is too old")
    assert line("instruction set: ").endswith(
        ": none, the NumPy twin is in use (does not load: libc is too old)"
    )
    assert "also here" not in info.text()


def test_what_the_environment_sets_is_said() -> None:
    settings = {"THINNET_ISA": " NumPy ", "THINNET_NUM_THREADS": "3"}
    command = [sys.executable, "-m", "thinnet", "info"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    assert "threads: 3 (set by THINNET_NUM_THREADS)" in done.stdout.splitlines()
    if native.bodies() != [native.NUMPY]:
        assert "instruction set: numpy, the NumPy twin (set by THINNET_ISA)" in done.stdout.splitlines()
    assert done.stderr == ""


def test_threads_without_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THINNET_NUM_THREADS", raising=False)
    assert line("threads: ") == f"threads: {thinnet.get_num_threads()} (the processors that thinnet may use)"


# Extras


def test_the_extras_are_those_of_the_metadata() -> None:
    wanted: dict[str, set[tuple[str, str]]] = {}
    for text in metadata.requires("thinnet") or ():
        asked = Requirement(text)
        for extra in metadata.metadata("thinnet").get_all("Provides-Extra") or ():
            wanted.setdefault(extra, set())
            if asked.marker is not None and asked.marker.evaluate({"extra": extra}):
                names = asked.extras if asked.name == "thinnet" else {asked.name}
                wanted[extra] |= {(name, str(asked.specifier)) for name in names}
    found = {
        name: {(package.name, package.versions) for package in extra.packages}
        | {(inner, "") for inner in extra.includes}
        for name, extra in info.extras().items()
    }
    assert found == wanted
    assert "study" in found


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        (">=2.0", "2.0"),
        (">=2.0", "2"),
        (">=2", "2.0.0"),
        (">=2.10", "2.9"),
        (">=2.9", "2.10"),
        (">=2.6", "2.13.0+cpu"),
        (">=2.6", "2.5.1+cpu"),
        (">=1.1.390", "1.1.389"),
        ("", "0.0.1"),
    ],
)
def test_a_version_fits_as_pip_would_say(versions: str, found: str) -> None:
    assert info.Package("rich", versions, found).fits == (found in SpecifierSet(versions))


def test_a_package_that_is_not_there_does_not_fit() -> None:
    assert not info.Package("rich", "", None).fits


def test_an_extra_lacks_what_the_extras_in_it_lack(installed: Callable[..., None]) -> None:
    installed(safetensors=None)
    assert line("extra save: ") == 'extra save: not complete; run: pip install "thinnet[save]"'
    assert line("extra study: ") == 'extra study: not complete; run: pip install "thinnet[study]"'
    said = info.text().splitlines()
    assert "  safetensors       not installed" in said
    assert "  all of save       not complete" in said


def test_an_extra_with_all_its_packages_is_complete(installed: Callable[..., None]) -> None:
    study = {package.name: "999" for package in info.extras()["study"].packages}
    installed(**study, safetensors="999")
    assert line("extra save: ") == "extra save: complete"
    assert line("extra study: ") == "extra study: complete"
    assert "  all of save       complete" in info.text().splitlines()
    assert "  rich              999" in info.text().splitlines()


def test_a_package_that_is_too_old_is_named(installed: Callable[..., None]) -> None:
    wanted = {package.name: package.versions for package in info.extras()["study"].packages}["optuna"]
    installed(optuna="0.9.1")
    said = info.text().splitlines()
    assert 'extra study: not complete; run: pip install "thinnet[study]"' in said
    assert f"  optuna            0.9.1, too old: {wanted} is needed" in said


def test_without_metadata_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert info.extras() == {}
    assert info.text().splitlines()[-1].startswith("extras: unknown")


# The machine as data


def test_the_machine_is_plain_data() -> None:
    said = info.machine()
    assert json.loads(json.dumps(said)) == said
    assert list(said) == [
        *("processor", "cores", "system", "python", "thinnet", "numpy", "instruction_set", "threads"),
    ]
    assert said["instruction_set"] == native.name()
    assert said["threads"] == thinnet.get_num_threads()


def test_the_processor_has_a_name_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert info.processor()
    cpuinfo = "processor\t: 0\nmodel name\t: Fast: 9000\nmodel name\t: Slow\n"
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda *_: cpuinfo)
    assert info.processor() == "Fast: 9000"
    monkeypatch.setattr(Path, "read_text", lambda *_: "processor : 0\n")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert info.processor() == platform.machine()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert info.processor() == "arm"
