"""The site builds without a warning and without the network, and its pages load nothing from elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
NOT_LOADED = {"canonical", "next", "prev", "edit"}
"""Kinds of `link` that name a page and load nothing."""


class Loads(HTMLParser):
    """What a browser fetches to show the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "link" and dict(attrs).get("rel") in NOT_LOADED:
            return
        self.found += [value or "" for name, value in attrs if (tag, name) in LOADED]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a proxy that nobody answers stands for the missing network."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"],
        cwd=folder,
        env={**nowhere, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr, done.stdout + done.stderr
    return folder / "build" / "site"


def test_every_page_is_on_the_site(site: Path) -> None:
    pages = {page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")}
    built = {page.parent.relative_to(site) for page in site.rglob("index.html")}
    assert built == {page.parent if page.name == "index" else page for page in pages}


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    foreign = {}
    for page in site.rglob("*.html"):
        loads = Loads()
        loads.feed(page.read_text())
        foreign[page.relative_to(site).as_posix()] = [url for url in loads.found if "//" in url]
    assert {page: urls for page, urls in foreign.items() if urls} == {}


def test_the_picture_is_on_its_page(site: Path) -> None:
    assert "lifecycle.svg" in (site / "explanation/lifecycle/index.html").read_text()
    assert (site / "explanation/lifecycle.svg").exists()
