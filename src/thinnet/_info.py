"""The environment of thinnet: versions, instruction set, threads, and the state of the extras.

The extras are read from the metadata of the installed package, so there is no second list of them. The module
needs NumPy alone.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import thinnet
from thinnet._core import native
from thinnet._core.threads import get_num_threads

__all__ = ["Extra", "Package", "extras", "machine", "processor", "text", "version"]

# A requirement in the metadata: a name, its extras, versions, and the extra of thinnet that needs it.
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)\s*(\[(?P<inner>[\w\s,-]+)\])?\s*(?P<versions>[^;]*?)\s*;"""
    r"""\s*extra\s*==\s*["'](?P<extra>[\w.-]+)["']"""
)


@dataclass(frozen=True)
class Package:
    """A package of an extra: the accepted versions, and the installed one."""

    name: str
    versions: str
    found: str | None

    @property
    def fits(self) -> bool:
        """Whether it is installed and recent enough."""
        least = re.findall(r">=\s*([\w.]+)", self.versions)
        return self.found is not None and all(_release(self.found) >= _release(bound) for bound in least)


@dataclass(frozen=True)
class Extra:
    """The packages of an extra of thinnet, and the extras that it includes."""

    name: str
    packages: tuple[Package, ...]
    includes: tuple[str, ...]


def extras() -> dict[str, Extra]:
    """Return the extras by name; empty if thinnet is imported without being installed."""
    try:
        about = metadata.distribution("thinnet")
    except metadata.PackageNotFoundError:
        return {}
    requirements = [found for line in about.requires or () if (found := _REQUIREMENT.fullmatch(line.strip()))]
    extras: dict[str, Extra] = {}
    for name in about.metadata.get_all("Provides-Extra") or ():
        packages: list[Package] = []
        includes: list[str] = []
        for line in requirements:
            if line["extra"] != name:
                continue
            if line["name"] == "thinnet" and line["inner"]:
                includes += [inner.strip() for inner in line["inner"].split(",")]
            else:
                packages.append(Package(line["name"], line["versions"], version(line["name"])))
        extras[name] = Extra(name, tuple(packages), tuple(includes))
    return extras


def version(package: str) -> str | None:
    """Return the version of an installed package without importing it, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Return the properties that times and results depend on, as plain data for a JSON file."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "thinnet": thinnet.__version__,
        "numpy": np.__version__,
        "instruction_set": native.name(),
        "threads": get_num_threads(),
    }


def processor() -> str:
    """Return the name of the processor, or the type of machine if the system does not report it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def text() -> str:
    """Return the text of `thinnet info`."""
    lines = [
        f"thinnet {thinnet.__version__}",
        f"Python {platform.python_version()}, NumPy {np.__version__}",
        f"{processor()}, {platform.system()} {platform.machine()}",
        "",
        *_instruction_set(),
        *_threads(),
        "",
        *_extras(),
    ]
    return "\n".join(lines)


def _instruction_set() -> list[str]:
    available = native.bodies()
    if available == [native.NUMPY]:
        return [f"instruction set: none, the NumPy twin is in use ({native.why_not})"]
    used = native.name()
    words = f"{used}, the NumPy twin" if used == native.NUMPY else used
    why = "set by THINNET_ISA" if os.environ.get("THINNET_ISA", "").strip() else "the best of this machine"
    others = ", ".join(body for body in available if body != used)
    return [f"instruction set: {words} ({why})", f"  also here: {others} (THINNET_ISA chooses)"]


def _threads() -> list[str]:
    setting = os.environ.get("THINNET_NUM_THREADS", "").strip()
    why = "set by THINNET_NUM_THREADS" if setting else "the processors that thinnet may use"
    return [f"threads: {get_num_threads()} ({why})"]


def _extras() -> list[str]:
    known = extras()
    if not known:
        return ["extras: unknown, since this thinnet was not installed by pip"]
    lines: list[str] = []
    for extra in known.values():
        remedy = f'not complete; run: pip install "thinnet[{extra.name}]"'
        lines.append(f"extra {extra.name}: {'complete' if _complete(extra, known) else remedy}")
        for inner in extra.includes:
            complete = inner in known and _complete(known[inner], known)
            lines.append(f"  {'all of ' + inner:<18}{'complete' if complete else 'not complete'}")
        lines += [f"  {package.name:<17} {_state(package)}" for package in extra.packages]
    return lines


def _complete(extra: Extra, known: dict[str, Extra]) -> bool:
    return all(package.fits for package in extra.packages) and all(
        inner in known and _complete(known[inner], known) for inner in extra.includes
    )


def _state(package: Package) -> str:
    if package.found is None:
        return "not installed"
    return package.found if package.fits else f"{package.found}, too old: {package.versions} is needed"


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, without zeros at the end: 2.0.1rc1 is (2, 0, 1)."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
