"""Small pieces of Markdown: tables, cells, the note that says who wrote a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make generate` from {source}. Change it there. -->"


def page(title: str, source: str, *sections: str) -> str:
    """A whole generated page."""
    return "\n\n".join([f"# {title}", NOTE.format(source=source), *(part.strip("\n") for part in sections)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold several lines, pipes and nothing at all."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    """The text on one line, its pipes escaped, and what looks like a tag shown as it is."""
    line = re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", r"\|")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(line.split("`")))


def code(value: object) -> str:
    """As code; nothing where there is nothing to show."""
    return f"`{value}`" if str(value) else ""


def sentence(text: str) -> str:
    """With a capital at the start and a full stop at the end."""
    text = " ".join(text.split())
    if not text:
        return ""
    first = text[0].upper() if re.match(r"[a-z]+ ", text) else text[0]  # not of sha256, json, or package.module
    return first + text[1:] + ("" if text.endswith((".", "…", ":", "]")) else ".")
