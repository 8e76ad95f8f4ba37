"""Docstrings of modules say where you are on the road ("Before: …", "Used by: …"), and what they name is there."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import podtask

ROOT = Path(__file__).parents[2]
PACKAGES = {"podtask": ROOT / "sdk/podtask", "podtask_operator": ROOT / "operator/podtask_operator",
            "podtask_runner": ROOT / "runner-image/podtask_runner"}  # fmt: skip
ROAD = re.compile(
    r"\b(?:Before|Next|After|Beside|Between|Answers and errors|The writes themselves|The rules|"
    r"(?:Asked|Used|Made|Read|Run|Written|Sent|Received|Fed|Opened|Called|Set|Forked|Imported)"
    r"(?: and \w+)?(?: \w+)? by)"
    r"(?: it)?(?: on the road)?:? (.*?)(?:\. |\.$|$)",
    re.DOTALL,
)
"""A sentence that names neighbours."""
NAMED = re.compile(r"`([a-z][a-z_]*(?:\.\w+)*)`")


def modules() -> dict[str, ast.Module]:
    """Dotted path -> tree."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            path = ".".join((package, *(part for part in parts if part != "__init__")))
            found[path] = ast.parse(file.read_text())
    return found


MODULES = modules()


def defined(tree: ast.Module) -> Iterator[str]:
    """Names at the top of a module, and those of its classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            if isinstance(node, ast.ClassDef):
                yield from (f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name"))
        elif isinstance(node, ast.ImportFrom):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def is_there(name: str) -> bool:
    """Whether it is a module, by its path or the end of it, or something in one."""
    if name in sys.stdlib_module_names or any(path == name or path.endswith(f".{name}") for path in MODULES):
        return True
    parts = name.split(".")
    for cut in range(1, len(parts)):
        module, rest = ".".join(parts[:-cut]), ".".join(parts[-cut:])
        for path, tree in MODULES.items():
            if (path == module or path.endswith(f".{module}")) and rest in defined(tree):
                return True
    return False


def neighbours(docstring: str) -> list[str]:
    """What the sentences about the road name."""
    text = " ".join(docstring.split())
    return [name for sentence in ROAD.findall(text) for name in NAMED.findall(sentence)]


def test_every_neighbour_that_a_module_names_is_there() -> None:
    named = {path: neighbours(ast.get_docstring(tree) or "") for path, tree in MODULES.items()}
    assert sum(map(len, named.values())) > 300
    gone = {path: missing for path, names in named.items() if (missing := [n for n in names if not is_there(n)])}
    assert gone == {}


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Of a module, and all strings below that stand alone, as docstrings of classes, functions and values do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def test_every_name_of_ours_with_its_path_is_there() -> None:
    ours = re.compile(r"`((?:podtask|podtask_operator|podtask_runner)\.[\w.]+)`")
    named = {path: [n for text in docstrings(tree) for n in ours.findall(text)] for path, tree in MODULES.items()}
    assert sum(map(len, named.values())) > 400
    gone = {path: missing for path, names in named.items() if (missing := [n for n in names if not is_ours(n)])}
    assert gone == {}


LOGGERS = ("podtask.task_runs", "podtask.flow_runs")


def is_ours(name: str) -> bool:
    """Whether it is a module, something in one, a logger, or what `import podtask` gives."""
    return (
        is_there(name) or name in LOGGERS or (name.count(".") == 1 and hasattr(podtask, name.removeprefix("podtask.")))
    )
