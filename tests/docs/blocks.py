"""The code blocks of a page, as a reader sees them: language, text, line, and the marks in the comments before them.

    <!-- cluster -->          needs a cluster: run by tests/cluster/test_docs.py only
    <!-- fails -->            its last command is meant to fail
    <!-- shown: why -->       not run, and why not
    <!-- file: PATH -->       a file of the repository, put there by `make generate`
    # hello.py                first line of a block: the reader saves it under that name

`console` blocks are commands after `$ ` with what they print; blocks without one of these languages are prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LANGUAGES = {"python", "console", "lua", "yaml", "toml", "text", "dockerfile", "json"}
"""What a block may say it is; another word would be a block that nobody looks at."""

_MARK = re.compile(r"<!-- (cluster|fails|shown: .+?|file: \S+) -->")
_NAME = re.compile(r"# ([\w./-]+\.(?:py|yaml|toml))$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str
    marks: frozenset[str]

    @property
    def where(self) -> str:
        """For messages: the page and the line that opens the block."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name under which the reader saves it."""
        named = _NAME.match(self.text.split("\n", 1)[0])
        return named[1] if named else None

    @property
    def on_cluster(self) -> bool:
        """Whether a cluster is needed."""
        return "cluster" in self.marks

    @property
    def shown_only(self) -> bool:
        """Whether somebody said why it cannot be run, or it is a file of the repository that the generator put here."""
        return any(mark.startswith(("shown: ", "file: ")) for mark in self.marks)


def name_of(page: Path) -> str:
    """A page in test names."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """All of them, in order."""
    return list(_blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    marks: frozenset[str] = frozenset()
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type == "html_block":
            marks = frozenset(_MARK.findall(token.content))
        elif token.type == "fence":
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.info.strip(), token.content, marks)
            marks = frozenset()
        elif token.level == 0 and token.nesting >= 0:
            marks = frozenset()
