"""The pages about the code itself: every path, package and name on them exists, and no package is left out."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.docs.blocks import DOCS, ROOT

ARCHITECTURE = DOCS / "explanation" / "architecture.md"
GLOSSARY = DOCS / "reference" / "glossary.md"
DECISIONS = sorted((DOCS / "adr").glob("[0-9]*.md"))
SOURCES = ("sdk/podtask", "operator/podtask_operator", "runner-image/podtask_runner")
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:[\w.-]+/)+(?:[\w-]+\.\w+)?|[\w-]+\.(?:py|toml|md)")


def paths(text: str) -> list[str]:
    """Every code span that reads as a path: a folder that ends with a slash, or a file."""
    return [span for span in _SPAN.findall(text) if _PATH.fullmatch(span)]


def sections(text: str) -> dict[str, str]:
    """Root of the sources -> the part of the page below the heading that names it."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    named = {root: body for title, body in zip(parts[1::2], parts[2::2], strict=True) for root in _SPAN.findall(title)}
    return {root.rstrip("/"): body for root, body in named.items()}


def absent(root: str, text: str) -> list[str]:
    """Paths that exist neither below the root nor from the top folder."""
    return [path for path in paths(text) if not (ROOT / root / path).exists() and not (ROOT / path).exists()]


def packages(root: str) -> set[str]:
    folder = ROOT / root
    return {f"{file.parent.relative_to(folder)}/" for file in folder.rglob("__init__.py")} - {"./"}


def test_the_architecture_has_a_section_for_each_root() -> None:
    assert set(sections(ARCHITECTURE.read_text())) == set(SOURCES)


@pytest.mark.parametrize("root", SOURCES)
def test_every_path_of_the_architecture_exists(root: str) -> None:
    section = sections(ARCHITECTURE.read_text())[root]
    assert len(paths(section)) >= len(packages(root))
    assert absent(root, section) == []


@pytest.mark.parametrize("root", SOURCES)
def test_every_package_is_named_and_none_too_many(root: str) -> None:
    folders = {path for path in paths(sections(ARCHITECTURE.read_text())[root]) if path.endswith("/")}
    assert folders == packages(root)


def test_a_path_that_is_gone_is_found() -> None:
    text = "## The SDK: `sdk/podtask/`\n\n`tasks.py`, `gone.py`, `core/gone/`, `retries=3`, `status.state`, `a/b`\n"
    assert absent("sdk/podtask", sections(text)["sdk/podtask"]) == ["gone.py", "core/gone/"]


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\) \| (.+) \|", (DOCS / "adr" / "index.md").read_text())
    assert listed == [(page.name, page.read_text().split(". ", 1)[1].split("\n", 1)[0]) for page in DECISIONS]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts_and_names_what_exists(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert re.search(r"^Status: (accepted|superseded by \[\d+\])", text, flags=re.MULTILINE)
    assert absent(".", text) == []


def terms() -> list[tuple[str, str]]:
    """Each term and the place in the code."""
    rows = re.findall(r"^\| ([a-z ]+) \| .+ \| `([\w.:]+)` \|$", GLOSSARY.read_text(), flags=re.MULTILINE)
    assert len(rows) == GLOSSARY.read_text().count("\n| ") - 1, "a row does not read as: term, meaning, `module:name`"
    return rows


def test_terms_are_in_order_and_none_is_there_twice() -> None:
    words = [term for term, _ in terms()]
    assert [pair for pair in pairwise(words) if pair[0] >= pair[1]] == []


@pytest.mark.parametrize(("term", "place"), terms(), ids=lambda text: text)
def test_the_place_of_a_term_exists(term: str, place: str) -> None:
    module, _, name = place.partition(":")
    found: Any = import_module(module)
    if name:
        assert hasattr(found, name), f"{term}: {module} has no {name}"
