"""Write the golden vectors of variants, tests/vectors/catalogue.json and functions.json.

    python tools/vectors.py            add entries of new variants; an entry never changes
    python tools/vectors.py --check    fail where the files are not what this version draws

A row of the catalogue is pinned by 4,096 ones, a function by normal numbers; both under a fixed key.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import thinnet as tn
from thinnet import CATALOGUE, Key
from thinnet.variants import Variant

HOME = Path(__file__).resolve().parents[1] / "tests" / "vectors"
# By the number of axes; 4,096 entries each.
SHAPES = {1: (4096,), 2: (64, 64), 3: (16, 16, 16), 4: (8, 8, 8, 8), 5: (2, 4, 8, 8, 8)}


def logit(rate: float) -> float:
    return float(np.log(rate) - np.log1p(-rate)) if 0 < rate < 1 else (200.0 if rate else -200.0)


def log_alpha(rate: float) -> float:
    return float(np.log(max(rate, 1e-300)) - np.log(max(1 - rate, 1e-300)))


Call = Callable[..., Any]
# The functions that draw on an array: the shape of the array, and a call with x, a rate and what all take,
# the key, the mode and the window.
CALLS: dict[str, tuple[tuple[int, ...], Call]] = {
    "ConcreteDropout": (
        (64, 64),
        lambda x, p, **k: tn.concrete_dropout(x, logit(p), temperature=0.01, **k),
    ),
    "VariationalDropout": ((64, 64), lambda x, p, **k: tn.variational_dropout(x, log_alpha(p), **k)),
    "SparseVariationalDropout": (
        (64, 64),
        lambda x, p, **k: tn.local_noise(x, np.eye(64), log_alpha(p), **k),
    ),
    "Standout": ((64, 64), lambda x, p, **k: tn.standout(x, -logit(p), **k)),
    "TargetedDropout": ((64, 64), lambda x, p, **k: tn.targeted_dropout(x, p, target=1.0, **k)),
    "MaxPoolDropout": ((4, 16, 16, 16), lambda x, p, **k: tn.max_pool_dropout(np.abs(x), p, **k)),
    "ShakeDrop": ((4096, 2), tn.shake_drop),
    "Shakeout": ((4096, 2), tn.shakeout),
    "PatchDropout": ((16, 9, 4), lambda x, p, **k: tn.patch_dropout(x, p, **k)[0]),
    "Cutout": ((64, 3, 8, 8), lambda x, p, **k: tn.cutout(x, round(8 * p), **k)),
    "DropHead": ((64, 8, 4, 4), tn.drop_head),
    "NEFTune": ((8, 16, 32), lambda x, p, **k: tn.neftune_noise(x, 10 * p, **k)),
    "MultiSampleDropout": ((64, 16), lambda x, p, **k: tn.multi_sample_dropout(x, p, samples=4, **k)),
}


def array(name: str, dtype: str = "float64") -> Any:
    """Return the array that a function is pinned on."""
    return np.random.default_rng(5).standard_normal(CALLS[name][0]).astype(dtype)


def shape_of(row: Variant) -> tuple[int, ...]:
    """Return a shape of 4,096 entries that fits the pattern of a row."""
    return SHAPES[sum(2 if "..." in word else 1 for word in row.pattern.split())]


def catalogue(known: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of all rows; rows that are known keep their shapes."""
    rows: dict[str, Any] = {}
    for name, row in CATALOGUE.items():
        shape = known["rows"].get(name, {}).get("shape") or list(shape_of(row))
        more = {"other": known["other"]} if row.needs_other else {}
        ones = np.ones(shape, np.float32)
        y = tn.drop(name, ones, known["rate"], key=Key(*known["key"]), **more).astype("<f4")
        digest = hashlib.sha256(y.tobytes()).hexdigest()
        rows[name] = {"shape": shape, "first": y.ravel()[:8].tolist(), "sha256": digest}
    return {**known, "rows": rows}


def functions(known: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of all functions that draw on an array."""
    digests = {
        name: hashlib.sha256(
            call(array(name), known["rate"], key=Key(*known["key"])).astype("<f4").round(3).tobytes()
        ).hexdigest()
        for name, (_, call) in CALLS.items()
    }
    return {**known, "sha256": digests}


def catalogue_text(known: dict[str, Any]) -> str:
    """Return catalogue.json: lists on one line."""
    rows = ",\n".join(
        f'    "{name}": {{\n      "shape": {json.dumps(row["shape"])},\n'
        f'      "first": {json.dumps(row["first"])},\n      "sha256": "{row["sha256"]}"\n    }}'
        for name, row in known["rows"].items()
    )
    head = "".join(f'  "{name}": {json.dumps(value)},\n' for name, value in known.items() if name != "rows")
    return f'{{\n{head}  "rows": {{\n{rows}\n  }}\n}}\n'


def functions_text(known: dict[str, Any]) -> str:
    """Return functions.json."""
    return json.dumps(known, indent=2) + "\n"


FILES: dict[str, tuple[Call, Call]] = {
    "catalogue": (catalogue, catalogue_text),
    "functions": (functions, functions_text),
}
ENTRIES = {"catalogue": "rows", "functions": "sha256"}


def made() -> dict[str, tuple[str, list[str]]]:
    """Return the text of each file as this version draws it, and the entries that it would change."""
    texts: dict[str, tuple[str, list[str]]] = {}
    for file, (draw, write) in FILES.items():
        known = json.loads((HOME / f"{file}.json").read_text("utf-8"))
        new, entries = draw(known), ENTRIES[file]
        changed = [name for name, entry in known[entries].items() if new[entries].get(name) != entry]
        texts[file] = write(new), changed
    return texts


def main() -> int:
    texts, failed = made(), False
    for file, (text, changed) in texts.items():
        path = HOME / f"{file}.json"
        if changed:
            print(f"{path.name}: these entries would change, which must never happen: {', '.join(changed)}")
            failed = True
        elif "--check" in sys.argv:
            failed |= path.read_text("utf-8") != text
        else:
            path.write_text(text, "utf-8")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
