"""Load an exported program and its AOTInductor package, and print the masks of two calls of each."""

import sys
import warnings

import torch

import thinnet.torch  # noqa: F401 - the operators

warnings.simplefilter("ignore")
x = torch.full((4, 2, 8, 8), 0.7)
for load, path in zip(
    (lambda path: torch.export.load(path).module(), torch._inductor.aoti_load_package),
    sys.argv[1:],
    strict=False,
):
    call = load(path)
    torch.manual_seed(0)
    print([[(y == 0).flatten().int().tolist() for y in call(x)] for _ in range(2)])
