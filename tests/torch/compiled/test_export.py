"""Graphs that leave the process: torch.export, AOTInductor, make_fx."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import thinnet.torch as tt

pytestmark = pytest.mark.filterwarnings("ignore")
PROGRAM = Path(__file__).with_name("exported_program.py")


class Small(nn.Module):
    """Fresh keys and those of a stream, both operators."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh, self.path, self.heads = tt.Dropout(0.5), tt.DropPath(0.5), tt.DropHead(0.5)
        self.seeded = nn.ModuleList([tt.Dropout(0.5)])
        tt.seed(self.seeded, 0)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        self.fresh(x)  # unused, but a call
        return [self.fresh(x), self.path(x), self.heads(x), self.seeded[0](x), self.fresh(x)]


def masks(model: Any, x: torch.Tensor) -> Any:
    torch.manual_seed(0)
    return [[(y == 0).flatten().int().tolist() for y in model(x)] for _ in range(2)]


def test_a_fresh_process_runs_what_was_exported(tmp_path: Path) -> None:
    x = torch.full((4, 2, 8, 8), 0.7)
    model = Small()
    expected, later = masks(model, x), masks(model, x)
    program = torch.export.export(Small(), (x,))
    paths = [str(tmp_path / "program.pt2"), str(tmp_path / "package.pt2")]
    torch.export.save(program, paths[0])
    options = {"aot_inductor.compile_wrapper_opt_level": "O0"}
    torch._inductor.aoti_compile_and_package(program, package_path=paths[1], inductor_configs=options)
    printed = subprocess.run(
        [sys.executable, str(PROGRAM), *paths], capture_output=True, text=True, check=True
    )
    exported, packaged = map(json.loads, printed.stdout.splitlines())
    assert exported == expected
    for t in range(2):
        assert packaged[t][3] == later[t][3]  # the stream of that process counts the calls of both
        for mask in (packaged[t][0], packaged[t][4]):  # those of single entries
            assert 0.2 < sum(mask) / len(mask) < 0.8
    assert packaged[0] != packaged[1]


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx_records_draws_and_no_keys(mode: str) -> None:
    x = torch.full((4, 2, 8, 8), 0.7)
    traced = make_fx(Small(), tracing_mode=mode)(x)
    first, second = masks(traced, x)
    assert first[0] != second[0]
    assert masks(traced, x)[0][0] == first[0]
