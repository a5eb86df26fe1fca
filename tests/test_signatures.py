"""Every public signature follows docs/names.md."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import Parameter
from pathlib import Path
from typing import Any

import pytest

from .test_exports import EXPORTS

PAGE = (Path(__file__).parent.parent / "docs" / "names.md").read_text("utf-8")
SHORT = {"thinnet.torch": "tt", "thinnet": "tn"}


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    dropout_p: Any,
    is_causal: Any,
    scale: Any,
    enable_gqa: Any,
) -> None:
    """Stand for a builtin function, which has no signature in Python."""


def _lstm(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any,
    bias: Any,
    batch_first: Any,
    dropout: Any,
    bidirectional: Any,
) -> None:
    """Stand for a class whose __init__ takes *args."""


PYTHON = {
    "torch.nn.functional.scaled_dot_product_attention": _attention,
    "torch.nn.LSTM": _lstm,
}
"""Names of other libraries whose signature Python does not show, with their documented parameters."""


@dataclass(frozen=True)
class Signature:
    """A public signature: its place, its kind, and its parameters without self."""

    namespace: str
    name: str
    kind: str
    parameters: tuple[Parameter, ...]

    @property
    def title(self) -> str:
        """The name as docs/names.md writes it: tn.drop, tt.functional.dropout."""
        home = next(name for name in SHORT if self.namespace.startswith(name))
        return f"{SHORT[home]}{self.namespace.removeprefix(home)}.{self.name}"

    @property
    def torch(self) -> bool:
        return self.namespace.startswith("thinnet.torch")

    @property
    def positional(self) -> list[Parameter]:
        return [p for p in self.parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found is not None, title
    return found[1]


def first_column(title: str) -> list[str]:
    """Return the names in the first column of the table of a section."""
    heads = re.findall(r"^\|([^|]*)\|", section(title), re.M)
    return [name for head in heads for name in re.findall(r"`([^`]+)`", head)]


@cache
def mirrors() -> dict[str, str]:
    """Return the name in another library that a name of ours mirrors."""
    return dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)`", section("Mirrors"), re.M))


@cache
def signatures() -> tuple[Signature, ...]:
    return tuple(_signatures())


def _signatures() -> Iterator[Signature]:
    for namespace in EXPORTS:
        home = importlib.import_module(namespace)
        for name in home.__all__:
            thing = getattr(home, name)
            if inspect.isfunction(thing):
                yield Signature(namespace, name, "function", _parameters(thing))
            elif inspect.isclass(thing) and not issubclass(thing, Exception):
                yield Signature(namespace, name, "class", _parameters(thing))
                for method, function in _methods(thing):
                    parameters = _parameters(function)
                    own = parameters[1:] if parameters[0].name in ("self", "cls") else parameters
                    yield Signature(namespace, f"{name}.{method}", "method", own)


def _parameters(thing: Any) -> tuple[Parameter, ...]:
    return tuple(inspect.signature(thing).parameters.values())


def _methods(one: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods that thinnet defines, each name once."""
    seen: set[str] = set()
    for base in one.__mro__:
        if not base.__module__.startswith("thinnet"):
            continue
        for name, member in vars(base).items():
            function = member.__func__ if isinstance(member, classmethod) else member
            if not name.startswith("_") and name not in seen and inspect.isfunction(function):
                seen.add(name)
                yield name, function


def ruled() -> list[Signature]:
    """Return the signatures that mirror no other library and implement no protocol."""
    protocols = set(re.findall(r"`(\w+)`", section("Protocols")))
    return [
        one
        for one in signatures()
        if one.title not in mirrors()
        and one.title.rpartition(".")[0] not in mirrors()
        and not (one.kind != "class" and one.name.rpartition(".")[2] in protocols)
    ]


def records() -> set[str]:
    """Return the classes whose optional fields may be passed by position."""
    return set(re.findall(r"`([\w.]+)`", section("Records")))


def drawing() -> list[Signature]:
    """Return the functions that draw: those with a key among their options; networks are built elsewhere."""
    functions = (one for one in ruled() if one.kind == "function" and one.namespace != "thinnet.net")
    return [one for one in functions if "key" in one.names[1:]]


def test_the_walk_finds_the_signatures() -> None:
    titles = {one.title for one in signatures()}
    assert len(titles) > 200
    assert {"tn.drop", "tn.Key.fold", "tn.net.Network.fit"} <= titles
    assert {"tt.functional.dropout", "tt.Dropout.forward", "tn.sklearn.MLPClassifier.fit"} <= titles


def test_the_data_comes_first_and_a_variant_before_it() -> None:
    data = {"x", "query", *first_column("Words for data")}
    for one in drawing():
        names = one.names[1:] if one.names[0] == "variant" else one.names
        assert "variant" not in names, f"{one.title}: variant must come first"
        assert names[0] in data, f"{one.title}: the data must come first, not {names[0]}"
    for one in ruled():
        # A class of modules or layers receives its data in forward; its variant is first, or an option.
        assert "variant" not in [p.name for p in one.positional[1:]], one.title


def test_the_rate_is_rate_in_numpy_and_p_in_torch() -> None:
    data = first_column("Words for data")
    for one in signatures():
        assert ("rate" if one.torch else "p") not in one.names or one.title == "tt.schedule", one.title
    for one in drawing():
        rate = "p" if one.torch else "rate"
        if rate in one.names:
            before = one.names[: one.names.index(rate)]
            assert set(before) <= {"variant", *data}, f"{one.title}: {rate} must follow the data"


def test_a_key_is_passed_by_name() -> None:
    wrong = [
        f"{one.title}({parameter.name})"
        for one in signatures()  # of protocols, too
        if one.title not in mirrors()
        for parameter in one.positional
        if parameter.name.endswith("key") and one.title not in ("tn.lanes", "tt.flex.drop_key")
    ]
    assert wrong == []


def test_x_is_the_first_parameter_of_a_method() -> None:
    methods = [one for one in signatures() if one.kind == "method" and {"x", "input", "X"} & set(one.names)]
    assert len(methods) > 50
    assert [one.title for one in methods if one.names[0] not in ("x", "input", "X")] == []


def test_a_key_is_required_in_numpy() -> None:
    optional = set(re.findall(r"`(tn[\w.]+)`", section("Where the key is optional")))
    found = {
        one.title
        for one in ruled()
        for parameter in one.parameters
        if parameter.name == "key" and not one.torch and parameter.default is not Parameter.empty
        if "mode" not in one.names  # mode="mean" draws nothing
    }
    assert found == optional


def test_options_are_passed_by_name() -> None:
    free = {"rate", "p", *first_column("Words for data")}
    wrong = [
        f"{one.title}({parameter.name})"
        for one in ruled()
        if one.title not in records()
        for place, parameter in enumerate(one.positional)
        if parameter.default is not Parameter.empty and place > 0 and parameter.name not in free
    ]
    assert wrong == []


def test_training_or_evaluation() -> None:
    wrong = [one.title for one in drawing() if ("mode" if one.torch else "training") in one.names]
    assert wrong == []


@pytest.mark.parametrize("ours", mirrors())
def test_a_mirror_keeps_the_positions(ours: str) -> None:
    theirs = mirrors()[ours]
    module, _, leaf = theirs.rpartition(".")
    if module.split(".")[0] not in ("torch", "sklearn"):
        pytest.skip("PyTorch and scikit-learn alone are imported here")
    (own,) = [one for one in signatures() if one.title == ours]
    names = [parameter.name for parameter in own.positional]
    their = _parameters(PYTHON.get(theirs) or getattr(importlib.import_module(module), leaf))
    expected = [p.name for p in their if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert ["input" if name == "x" else name for name in names] == expected[: len(names)]


@pytest.mark.parametrize("protocol", ["Layer", "Loss", "Optimizer"])
def test_a_method_of_a_protocol_keeps_the_parameters_of_its_base(protocol: str) -> None:
    home = importlib.import_module("thinnet.net")
    base = getattr(home, protocol)
    followers = [
        one for one in map(home.__dict__.get, home.__all__) if inspect.isclass(one) and issubclass(one, base)
    ]
    assert len(followers) >= 4
    for one in followers:
        for method, function in _methods(one):
            if hasattr(base, method):
                expected = [parameter.name for parameter in _parameters(getattr(base, method))]
                assert [p.name for p in _parameters(function)] == expected, f"{one.__name__}.{method}"


def test_every_parameter_has_a_word_on_the_page() -> None:
    known = {word for title in re.findall(r"^## (Words.*)$", PAGE, re.M) for word in first_column(title)}
    used = {name for one in signatures() for name in one.names}
    missing = sorted({f"{name} ({one.title})" for one in ruled() for name in one.names if name not in known})
    assert missing == []
    assert sorted(known - used) == [], "words that no signature uses"


def test_a_word_stands_on_the_page_once() -> None:
    words = [word for title in re.findall(r"^## (Words.*)$", PAGE, re.M) for word in first_column(title)]
    assert sorted(words) == sorted(set(words))
