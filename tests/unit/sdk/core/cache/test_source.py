"""Inline source of strangers: parsed within a bound, and once however often it is looked at."""

from __future__ import annotations

import pytest

from podtask.core.cache import source
from podtask.core.cache.source import PARSED_AT_MOST, NotCacheable, source_identity
from podtask_runner.hashing import content_hash

LONG = "x = 1\n" * (PARSED_AT_MOST // 6 + 1)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sources that were parsed."""
    seen: list[str] = []
    parse = content_hash.source_identity

    def counted(text: str, function: str) -> str:
        seen.append(text)
        return parse(text, function)

    monkeypatch.setattr(content_hash, "source_identity", counted)
    source._remembered.clear()
    return seen


@pytest.mark.parametrize("looks", [10, 100])
def test_a_source_is_parsed_once_however_often_it_is_looked_at(parsed: list[str], looks: int) -> None:
    assert len({source_identity("def main():\n    return 1\n", "main") for _ in range(looks)}) == 1
    assert len(parsed) == 1


def test_a_source_that_cannot_be_parsed_is_tried_once_and_says_the_same_each_time(parsed: list[str]) -> None:
    texts = []
    for _ in range(5):
        with pytest.raises(NotCacheable, match="is not Python") as why:
            source_identity("def main(:\n", "main")
        texts.append(str(why.value))
    assert len(parsed) == 1
    assert len(set(texts)) == 1


def test_what_is_remembered_is_bounded(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "REMEMBERED", 3)
    for number in (1, 2, 3, 1, 4, 1):
        source_identity(f"x = {number}\n", "main")
    assert parsed == [f"x = {number}\n" for number in (1, 2, 3, 4)]
    assert len(source._remembered) == 3


def test_a_long_source_counts_as_it_is_and_is_not_parsed(parsed: list[str]) -> None:
    one = source_identity(LONG, "main")
    assert not parsed
    assert one == source_identity(LONG, "main")
    assert one != source_identity(LONG + "# a comment\n", "main")
    assert one != source_identity(LONG, "other")
    assert source_identity("x" + LONG[1:], "main").startswith("sha256:")


def test_a_short_source_counts_without_its_layout(parsed: list[str]) -> None:
    assert source_identity("x=1\n", "main") == source_identity("x = 1  # one\n", "main")


def test_function_and_source_are_not_taken_for_each_other(parsed: list[str]) -> None:
    assert source_identity("a", "b") != source_identity("b", "a")
    assert source_identity(LONG, "b") != source_identity("b\0" + LONG, "")


def test_text_that_no_encoding_takes_has_an_identity(parsed: list[str]) -> None:
    assert source_identity(LONG + "'\udcff'", "main").startswith("sha256:")
