"""The style of CONTRIBUTING.md: words that read like a riddle, and the plain word for each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BANNED = {
    r"\bbehind\b": "after",
    r"\b(?:is|are|was|were|be|being|been|gets?) told\b(?! apart)": "receives, is passed",
    r"\bhanded\b": "passed",
    r"\bhands? (?:on|over|out|back)\b": "passes, returns",
    r"(?<!cannot )(?<!\.)\btells?\b(?! apart)": "shows, prints, reports, returns",
    r"\bsays? (?:so|which|what|how|whether|where|it|nothing|no more)\b": "states, names, reports",
    r"\bis said\b": "is stated, is reported",
    r"\beven (?:number|noise|distribution|draw|chance)s?\b": "uniform",
    r"\bwhat is left of\b": "a noun, such as the momentum buffer",
    r"\bwhat (?:comes|came|goes) (?:in|out|of it)\b": "input, output, result",
    r"\bwhat (?:draws|drops|trains|becomes of)\b": "the noun",
    r"\bwhere nobody watches\b": "in eager mode",
    r"\bis asked for\b": "is requested",
    r"\bnext to nothing\b": "a number",
    r"\bkin\b": "related classes",
    r"\bwants? (?!to\b)": "needs, requires",
    r"\bowes?\b": "needs",
    r"\bby itself alone\b": "alone",
}
"""Patterns that this project does not use, and what to write in their place."""


SUFFIXES = (".py", ".pyi", ".md", ".cpp", ".hpp", ".sh", ".jinja")
NAMES = {"again", "asked", "beside", "handed", "opened", "said", "shown", "stretched", "told", "watched"}
"""Names of functions and classes that state no action and no content."""


def texts() -> Iterator[Path]:
    """Yield the files that are read by people: sources, pages, the build."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml", ".ci/run"):
        yield ROOT / name
    for folder in ("src", "csrc", "docs", "tools", "benchmarks"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES)


@cache
def lines(path: Path) -> list[tuple[int, str]]:
    """Return the numbered lines of a file, without the examples of what not to write."""
    text = path.read_text("utf-8")
    text = re.sub(
        r"<!-- pairs -->.*?<!-- /pairs -->", lambda found: "\n" * found[0].count("\n"), text, flags=re.S
    )
    return list(enumerate(text.splitlines(), 1))


@pytest.mark.parametrize("pattern", BANNED)
def test_the_plain_word_is_used(pattern: str) -> None:
    compiled = re.compile(pattern, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in lines(path)
        if compiled.search(line)
    ]
    assert not found, f"write {BANNED[pattern]!r}:\n" + "\n".join(found)


def test_functions_are_named_after_their_action() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in texts()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not NAMES.isdisjoint(node.name.strip("_").lower().split("_"))
    ]
    assert found == []


VOCABULARY = """
    lane, key, step, window, pattern, law, site, thinned network, mean network, mask, keep, realised rate,
    variant, stream, draw, group, rate, gain, shift, other, schedule, mode, twin, study, stage, slot, trial
"""


def test_the_glossary_explains_a_word_before_it_uses_it() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.*) \|$", text, re.M)
    explained = {word.strip() for words, _ in rows for word in words.split(",")}
    assert {" ".join(word.split()) for word in VOCABULARY.split(",")} <= explained
    known: set[str] = set()
    for words, meaning in rows:
        known |= {word.strip() for word in words.split(",")} | set(re.findall(r"\*\*(.+?)\*\*", meaning))
        prose = re.sub(r"`[^`]*`", "", meaning)
        early = [word for word in explained - known if re.search(rf"\b{word}s?\b", prose)]
        assert early == [], f"{words} is explained by {early}, which follow later"
