"""The page on PyTorch's dropout: its scripts, run; its tables, as printed."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from thinnet.torch._internals import FORCED

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
try:
    _spec: Any = importlib.util.spec_from_file_location(
        "torch_differences", ROOT / "tools" / "torch_differences.py"
    )
    tool: Any = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(tool)
finally:
    sys.path.remove(str(ROOT / "tools"))
RESULTS = json.loads(tool.RESULTS.read_text("utf-8"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", tool.CASES)
def test_ours_is_right_and_the_page_is_what_the_script_prints(case: str) -> None:
    if FORCED and case == "evaluation":
        pytest.skip("no public name of PyTorch observes operators")
    rows = tool.compare(case)
    for quantity, right, _, ours in rows:
        assert right in ("", ours), quantity
    if torch.__version__ in RESULTS and not torch.cuda.is_available():
        assert rows == RESULTS[torch.__version__]["cases"][case]


def test_the_page_holds_the_results_of_every_version() -> None:
    page = (ROOT / tool.PAGE).read_text("utf-8")
    assert "2.13.0+cpu" in RESULTS
    for case in tool.CASES:
        found = re.search(rf"<!-- {case} -->\n(.*?)<!-- /{case} -->", page, re.DOTALL)
        assert found is not None
        assert found[1] == tool.block(case, RESULTS)
    assert tool.heading(RESULTS) in page
    assert {path.stem for path in tool.SCRIPTS.glob("*.py")} == set(tool.CASES)
