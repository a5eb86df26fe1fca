"""Training steps of whole PyTorch models on a CPU: without dropout, with torch's, with thinnet's.

    python benchmarks/torch_training.py              # everything, written to results/: about ten minutes
    python benchmarks/torch_training.py gat bert     # some models, printed only
    python benchmarks/torch_training.py --smoke      # one step of each at a tiny size, printed only

A step is forward, loss, backward and one of SGD. Every rate of the model is p; without dropout every rate is
0, which torch skips; thinnet's dropout is that of `thinnet.torch.replace(model)`. The three models have equal
weights, and their steps are timed in turn. Transformers have some of their layers, and GPT-2 as large a part
of its vocabulary, so that the proportions are those of the whole.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from common import Result, clock, format_ratio, keep, median, spread, verdict, with_budget
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

import thinnet as tn
import thinnet.torch as tt

Tensor: TypeAlias = torch.Tensor
Step: TypeAlias = Callable[[], Tensor]
"""A forward; it returns the loss."""

RATES = (0.1, 0.5)
BUDGET = 1.03
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@dataclass(frozen=True)
class Case:
    """A model: what it is, its maker (from a rate, and whether to be tiny), and how often a step is timed."""

    what: str
    make: Callable[[float, bool], tuple[nn.Module, Step]]
    rounds: int = 9
    calls: int = 1


def library(name: str) -> Any:
    """Import a library that may import torchvision, whose operators may lack the CUDA they were built for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = importlib.util.find_spec("torchvision")
        if spec is not None and spec.origin is not None and not hasattr(torch.ops.torchvision, "nms"):
            try:
                importlib.import_module("torchvision")
            except (RuntimeError, OSError):
                _declare_operators()
        return importlib.import_module(name)


_declared: list[torch.library.Library] = []


def _declare_operators() -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    _declared.append(own := torch.library.Library("torchvision", "FRAGMENT"))
    for name in ("nms", "qnms"):
        own.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


# Graphs


def graph(tiny: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, edges and labels: 100,000 nodes with 64 features, and ten edges for each node."""
    nodes = 100 if tiny else 100_000
    edges = torch.randint(nodes, (2, 10 * nodes))
    return torch.randn(nodes, 64), edges, torch.randint(16, (nodes,))


class Graphs(nn.Module):
    """Two layers of graph convolution; the rate is that of F.dropout before each, as in PyG's examples."""

    def __init__(self, first: nn.Module, second: nn.Module, p: float, *, of_input: bool) -> None:
        super().__init__()
        self.first, self.second, self.p, self.of_input = first, second, p, of_input

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        if self.of_input:
            x = F.dropout(x, self.p, self.training)
        h = F.dropout(F.relu(self.first(x, edges)), self.p, self.training)
        return self.second(h, edges)


def sage(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    geometric = library("torch_geometric.nn")
    x, edges, labels = graph(tiny)
    model = Graphs(geometric.SAGEConv(64, 64), geometric.SAGEConv(64, 16), p, of_input=False)
    return model, lambda: F.cross_entropy(model(x, edges), labels)


def gat(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    geometric = library("torch_geometric.nn")
    x, edges, labels = graph(tiny)
    first = geometric.GATConv(64, 8, heads=4, dropout=p)
    model = Graphs(first, geometric.GATConv(32, 16, dropout=p), p, of_input=True)
    return model, lambda: F.cross_entropy(model(x, edges), labels)


# Transformers


def gpt2(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    transformers = library("transformers")
    words, tokens = (97, 8) if tiny else (50257 // 4, 256)
    config = transformers.GPT2Config(
        vocab_size=words, n_layer=1 if tiny else 3, resid_pdrop=p, embd_pdrop=p, attn_pdrop=p,
        use_cache=False, bos_token_id=0, eos_token_id=0, **({"n_embd": 16, "n_head": 2} if tiny else {}),
    )  # fmt: skip
    model, ids = transformers.GPT2LMHeadModel(config), torch.randint(words, (1, tokens))
    return model, lambda: model(input_ids=ids, labels=ids).loss


def _bert(kind: str, p: float, tiny: bool, layers: int, **options: Any) -> tuple[nn.Module, Step]:
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32} if tiny else {}
    rates = {"hidden_dropout_prob": p, "attention_probs_dropout_prob": p}
    package = library("transformers")
    config = getattr(package, f"{kind}Config")
    sizes = {"num_hidden_layers": 1 if tiny else layers, "vocab_size": 1000, **small}
    own = getattr(package, f"{kind}ForSequenceClassification")(config(**sizes, **rates, **options))
    ids = torch.randint(1000, (2, 8) if tiny else (8, 128))
    labels = torch.zeros(len(ids), dtype=torch.int64)
    return own, lambda: own(input_ids=ids, labels=labels).loss


def bert(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    return _bert("Bert", p, tiny, 2)


def deberta(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    own: dict[str, Any] = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pooler_dropout": p,
    }
    return _bert("DebertaV2", p, tiny, 1, **own)


def _timm(name: str, tiny: bool, batch: int, **options: Any) -> tuple[nn.Module, Step]:
    size = {"img_size": 32} if tiny and name.startswith("vit") else {}
    model = library("timm").create_model(name, pretrained=False, num_classes=10, **options, **size)
    side = 32 if tiny else 224
    x, labels = torch.randn(2 if tiny else batch, 3, side, side), torch.arange(2 if tiny else batch) % 10
    return model, lambda: F.cross_entropy(model(x), labels)


def vit(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    rates = {"drop_rate": p, "pos_drop_rate": p, "proj_drop_rate": p, "attn_drop_rate": p}
    return _timm("vit_small_patch16_224", tiny, 4, depth=1 if tiny else 4, drop_path_rate=p, **rates)


# Others


class Language(nn.Module):
    """The language model of Zaremba et al. (2014), medium size: two layers of 650 units."""

    def __init__(self, words: int, units: int, p: float) -> None:
        super().__init__()
        self.drop, self.embed = nn.Dropout(p), nn.Embedding(words, units)
        self.rnn, self.out = nn.LSTM(units, units, 2, dropout=p), nn.Linear(units, words)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.rnn(self.drop(self.embed(ids)))  # (time, n, units)
        return self.out(self.drop(hidden))


def lstm(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    words, units = (50, 16) if tiny else (10_000, 650)
    model, ids = Language(words, units, p), torch.randint(words, (36, 20))
    return model, lambda: F.cross_entropy(model(ids[:-1]).flatten(0, 1), ids[1:].flatten())


class Adapted(nn.Module):
    """A dense layer that k members share, each with factors of its own for inputs and outputs."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.randn(members, inputs).sign())
        self.after = nn.Parameter(torch.randn(members, outputs).sign())
        self.bias = nn.Parameter(torch.zeros(members, outputs))
        self.dense = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x * self.before) * self.after + self.bias  # (n, k, outputs)


def tabm(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    members, wide, rows = (2, 8, 4) if tiny else (32, 256, 128)
    sizes = [32, wide, wide, wide]
    layers = [
        part
        for inputs, outputs in itertools.pairwise(sizes)
        for part in (Adapted(members, inputs, outputs), nn.ReLU(), nn.Dropout(p))
    ]
    model = nn.Sequential(*layers, Adapted(members, wide, 1))
    x, y = torch.randn(rows, 1, 32), torch.randn(rows, 1, 1)
    return model, lambda: (model(x) - y).square().mean()


def mlp(p: float, tiny: bool) -> tuple[nn.Module, Step]:
    layers = [part for _ in range(2) for part in (nn.Linear(64, 64), nn.ReLU(), nn.Dropout(p))]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    x, labels = torch.randn(32, 64), torch.arange(32) % 10
    return model, lambda: F.cross_entropy(model(x), labels)


CASES = {
    "sage": Case("GraphSAGE, 100,000 nodes, 1,000,000 edges", sage, 5),
    "gat": Case("GAT, 4 heads, 100,000 nodes, 1,000,000 edges", gat, 5),
    "gpt2": Case("GPT-2 small, 3 of 12 layers, 1 x 256 tokens", gpt2),
    "bert": Case("BERT base, 2 of 12 layers, 8 x 128 tokens", bert, 5),
    "deberta": Case("DeBERTa-v2 base, 1 of 12 layers, 8 x 128 tokens", deberta, 5),
    "vit": Case("ViT-S/16, 4 of 12 layers, 4 images", vit),
    "lstm": Case("LSTM language model, 2 x 650 units, 20 x 35 words", lstm),
    "tabm": Case("TabM-like perceptron, 32 members, 3 x 256 units, 128 rows", tabm),
    "mlp": Case("perceptron, 2 x 64 units, 32 rows", mlp, 21, 50),
}
AS_THEY_COME = {
    "convnext_atto": Case(
        "timm's convnext_atto as it comes, 4 images", lambda _, tiny: _timm("convnext_atto", tiny, 4)
    ),
    "vit_tiny": Case(
        "timm's vit_tiny as it comes, 4 images", lambda _, tiny: _timm("vit_tiny_patch16_224", tiny, 4)
    ),
}
"""Models whose rates are 0 by default: replacing their modules must not cost anything."""


def stepper(case: Case, p: float, *, replaced: bool, tiny: bool) -> Callable[[], None]:
    """Return a function that makes one step of a new model."""
    torch.manual_seed(0)
    model, loss = case.make(p, tiny)
    model.train()
    if replaced:
        tt.replace(model)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def measure(case: Case, p: float, threads: int, *, tiny: bool = False) -> dict[str, Any]:
    """Time the steps in turn; return the ratios to none, and of torch's to thinnet's."""
    torch.set_num_threads(threads)
    tn.set_num_threads(threads)
    kinds = {"none": (0.0, False), "torch": (p, False), "thinnet": (p, True)}
    calls, rounds = (1, 1) if tiny else (case.calls, case.rounds)
    clocks = {
        kind: clock(stepper(case, rate, replaced=replaced, tiny=tiny), calls)
        for kind, (rate, replaced) in kinds.items()
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, each in clocks.items():
            taken = each()
            if number:
                seconds[kind].append(taken)
    return {
        "case": case.what,
        "p": p,
        "threads": threads,
        "seconds": {kind: spread(taken)["median"] for kind, taken in seconds.items()},
        "thinnet": compare(seconds, "thinnet", "none", BUDGET),
        "torch": compare(seconds, "torch", "none"),
        "faster": compare(seconds, "thinnet", "torch", faster=True),
    }


def compare(
    seconds: dict[str, list[float]], ours: str, rival: str, budget: float | None = None, faster: bool = False
) -> Result:
    """Return the ratio of two kinds of steps, taken round by round."""
    pairs = list(zip(seconds[ours], seconds[rival], strict=True))
    ratios = [b / a if faster else a / b for a, b in pairs]
    return with_budget({"rounds": len(ratios), "ratio": spread(ratios), "faster": faster}, budget)


def line(found: dict[str, Any]) -> str:
    """Return a line of text about one case."""
    ratios = (f"{kind} {format_ratio(median(found[kind]))}" for kind in ("thinnet", "torch"))
    of = f"{found['case']}, p = {found['p']:g}, {found['threads']} thread{'s' * (found['threads'] > 1)}"
    return f"{of}, against no dropout: {', '.join(ratios)}; {verdict(found['thinnet'])}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="MODEL", help=", ".join([*CASES, *AS_THEY_COME]))
    parser.add_argument("--smoke", action="store_true", help="one step of each at a tiny size")
    options = parser.parse_args(arguments)
    every = {**CASES, **AS_THEY_COME}
    if unknown := set(options.names) - set(every):
        parser.error(f"no model is named {', '.join(sorted(unknown))}")
    results: dict[str, Any] = {}
    for name in options.names or every:
        for p in RATES if name in CASES else (0.0,):
            for threads in (1,) if options.smoke else (1, 2):
                found = measure(every[name], p, threads, tiny=options.smoke)
                results.setdefault(name, {})[f"{p:g}_{threads}"] = found
                print(line(found), flush=True)
    if not options.names and not options.smoke:
        keep("torch_training", results, "torch", "timm", "transformers", "torch_geometric")


if __name__ == "__main__":
    main()
