"""The pages themselves: generated parts are fresh, links lead somewhere, everything is in the navigation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomllib
from dev.docs import generated
from markdown.extensions.toc import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.docs.blocks import DOCS, PAGES, ROOT, name_of


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield token
        yield from token.children or ()


def targets(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    return [str(t.attrs.get("href") or t.attrs.get("src")) for t in tokens(page) if t.type in ("link_open", "image")]


def anchors(page: Path) -> set[str]:
    """Names that its headings can be linked by."""
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    headings = [parsed[i + 1] for i, token in enumerate(parsed) if token.type == "heading_open"]
    texts = ["".join(child.content for child in heading.children or ()) for heading in headings]
    return {slugify(text, "-") for text in texts}


def test_what_is_generated_is_as_the_code_says() -> None:
    assert [str(path.relative_to(ROOT)) for path in generated.stale()] == [], "run 'make generate'"


def lost(page: Path) -> list[str]:
    """Links of a page that lead nowhere, or out of docs/, where the site ends."""
    found = []
    for target in targets(page):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve() if path else page
        inside = DOCS not in page.parents or DOCS in file.parents
        if not file.exists() or not inside or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert lost(page) == []


def test_a_link_to_a_file_or_a_heading_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    links = "[a](page.md#what-is-there) [b](page.md#what-is-not) [c](other.md) [d](#spectask) ![e](picture.svg)"
    page.write_text(f"# Page\n\n## What is there\n\n### spec.task\n\n{links}\n")
    assert lost(page) == ["page.md#what-is-not", "other.md", "picture.svg"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_foreign_links_are_https_and_few(page: Path) -> None:
    foreign = [target for target in targets(page) if re.match(r"[a-z]+:", target)]
    assert [target for target in foreign if not target.startswith("https://")] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_one_title(page: Path) -> None:
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in tokens(page)) == 1


def test_every_page_is_in_the_navigation_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    listed = sorted(_leaves(nav))
    assert listed == sorted(page.relative_to(DOCS).as_posix() for page in PAGES if DOCS in page.parents), (
        "see nav in zensical.toml"
    )


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from _leaves(child)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child)
