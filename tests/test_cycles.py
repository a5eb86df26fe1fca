"""No module imports a module that imports it again: at the top, inside a function, or for types alone."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def modules() -> dict[str, Path]:
    """Return the file of every module of the package."""
    files: dict[str, Path] = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported(tree: ast.AST, known: dict[str, Path], lazy: bool) -> set[str]:
    """Return the modules that a file imports; a lazy package resolves its names for type checkers alone."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if lazy and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in known else node.module for name in full}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        names |= imported(node, known, lazy)
    return names & known.keys()


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one cycle, or nothing if there is none."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := search(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


def test_modules_do_not_import_in_circles() -> None:
    files = modules()
    assert len(files) > 100
    graph = {
        name: imported(ast.parse(path.read_text("utf-8")), files, path.name == "__init__.py") - {name}
        for name, path in files.items()
    }
    assert sum(map(len, graph.values())) > 500
    assert cycle(graph) == []


def test_a_cycle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": set[str](), "d": {"b"}}
    assert cycle(graph) == ["b", "d"]
    assert cycle({"a": {"b"}, "b": set[str]()}) == []
