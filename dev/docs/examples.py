"""docs/examples.md: every file of examples/, with what it shows."""

from __future__ import annotations

import ast
from itertools import takewhile
from pathlib import Path

from dev.docs.markdown import page
from dev.docs.paths import TOP

HEAD = """\
Files to start from. Each one is run by the tests, on a laptop and on a cluster; they are in the folder `examples` of
the repository."""

FIRST = ("hello", "retries", "caching", "fan_out")
"""What a newcomer reads first; the rest follows by name, scripts before manifests."""


def text() -> str:
    """The whole page."""
    files = sorted((TOP / "examples").iterdir(), key=_order)
    return page("Examples", "examples/", HEAD, *(_section(path) for path in files if path.suffix in (".py", ".yaml")))


def _order(path: Path) -> tuple[bool, int, str]:
    known = FIRST.index(path.stem) if path.stem in FIRST else len(FIRST)
    return path.suffix == ".yaml", known, path.name


def _section(path: Path) -> str:
    language = "python" if path.suffix == ".py" else "yaml"
    mark = f"<!-- file: examples/{path.name} -->\n```{language}\n{path.read_text().rstrip()}\n```\n<!-- end of file -->"
    return f"## {path.name}\n\n{_shows(path)}\n\n{mark}"


def _shows(path: Path) -> str:
    """The first sentence of the docstring or the comment at the top."""
    text = path.read_text()
    if path.suffix == ".py" and (said := ast.get_docstring(ast.parse(text))):
        return said.split("\n\n")[0]
    comments = takewhile(lambda line: line.startswith("#"), text.splitlines())
    said = " ".join(line.lstrip("# ") for line in comments if not line.startswith("# %%"))
    return said.partition(". ")[0] + "."
