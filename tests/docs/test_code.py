"""The code on the pages runs: scripts and commands here, on the local backend; those for a cluster in tests/cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.blocks import LANGUAGES, PAGES, blocks, name_of
from tests.docs.reader import Reader, commands, pattern

WITH_CODE = [page for page in PAGES if any(block.language in ("python", "console") for block in blocks(page))]
GENERATED = "reference/"


@pytest.mark.parametrize("page", [p for p in WITH_CODE if GENERATED not in name_of(p)], ids=name_of)
def test_a_reader_without_a_cluster_gets_what_the_page_says(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"PODTASK_HOME": str(tmp_path / "home")})
    for block in blocks(page):
        if not block.on_cluster:
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.where: block.language for block in blocks(page) if block.language not in LANGUAGES} == {}


@pytest.mark.parametrize("page", [p for p in WITH_CODE if GENERATED in name_of(p)], ids=name_of)
def test_generated_signatures_are_python(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(f"def {block.text.strip()}: ...", block.where, "exec")


def test_the_reader_compares_what_is_printed_but_for_ids_times_and_left_out_lines() -> None:
    found = list(commands("$ one \\\n  two\nsaid\n\n$ three\n"))
    assert [command.text for command in found] == ["one \\\n  two", "three"]
    assert [command.printed for command in found] == ["said", None]
    import re

    shown = pattern("NAME   AGE\nrun-0123456789abcdef   7s\n...\nlast")
    assert re.fullmatch(shown, "NAME      AGE\nrun-fedcba9876543210   1m12s\na\nb\nlast")
    assert re.fullmatch(shown, "NAME      AGE\nrun-fedcba9876543210   12s\nlast")
    assert not re.fullmatch(shown, "NAME      AGE\nrun-fedcba9876543210   12s\nlast but one")
    assert not re.fullmatch(shown, "NAME      AGE\nwalk-fedcba9876543210   12s\nlast")
