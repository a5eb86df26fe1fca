"""A functional call that drops while the model is in evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import nn

import thinnet.torch as tt


class Attention(nn.Module):
    """Attention whose dropout_p stays on after `eval()`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    x = torch.eye(8).reshape(1, 1, 8, 8)
    model = nn.Sequential(Attention()).eval()
    torch.manual_seed(0)
    repeated = torch.equal(model(x), model(x))
    report = str(tt.summary(tt.replace(model), x)).splitlines()[-1]
    return [
        ("two evaluations of one input are equal", "", f"{repeated}", "as torch"),
        ("tt.summary names the call", "True", "no summary", f"{'in evaluation' in report}"),
        ("its last line", "", "", report),
    ]


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
