"""What the generator refuses: a word nobody described, a picture that says other things than the rules."""

from __future__ import annotations

import pytest
from dev.docs import docstrings, generated, lifecycle, markdown, picture, words

from podtask.core.api.names import Reason, State


def test_a_reason_that_nobody_described_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "CATALOGUE", {k: v for k, v in words.CATALOGUE.items() if k is not Reason.QUOTA})
    with pytest.raises(AssertionError, match=r"describe these Reasons in .*: Quota"):
        words.text()


def test_an_arrow_too_few_is_a_difference_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "ARROWS", picture.ARROWS[:-1])
    with pytest.raises(AssertionError, match=r"not drawn: .*NOT_READY"):
        picture.text()


def test_an_arrow_too_many_is_a_difference_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    impossible = picture.Arrow((State.COMPLETED,), (State.PENDING,), "M0,0", "", (0, 0))
    monkeypatch.setattr(picture, "ARROWS", (*picture.ARROWS, impossible))
    with pytest.raises(AssertionError, match=r"drawn and impossible: .*COMPLETED"):
        picture.text()


def test_no_state_follows_an_end_and_every_state_is_reached() -> None:
    pairs = set(lifecycle.transitions())
    assert not [pair for pair in pairs if pair[0].finished]
    assert {after for _, after in pairs} == set(State)


@pytest.mark.long
def test_longer_stories_bring_no_new_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    known = set(lifecycle.transitions())
    monkeypatch.setattr(lifecycle, "STEPS", lifecycle.STEPS + 2)
    assert set(lifecycle.transitions.__wrapped__()) == known


def test_cells_keep_pipes_and_tags_readable() -> None:
    assert markdown.cell("a | b\n<c> `d <e>`") == r"a \| b &lt;c> `d <e>`"


def test_sentences_begin_with_a_capital_but_not_in_the_middle_of_a_name() -> None:
    assert [markdown.sentence(text) for text in ("one  more", "sha256 of it", "json, or text.", "")] == [
        "One more.",
        "sha256 of it.",
        "json, or text.",
        "",
    ]


def test_signatures_are_as_written() -> None:
    def example(a: int, /, *rest: str, key: list[str] | None = None) -> bool: ...

    assert docstrings.signature(example, "f") == "f(a: int, /, *rest: str, key: list[str] | None = None) -> bool"


def test_a_page_repeats_a_file_as_it_is_and_fails_without_it() -> None:
    told = generated.repeated("<!-- file: examples/hello.yaml -->\nold\n<!-- end of file -->")
    assert "kind: TaskRun" in told
    assert "old" not in told
    with pytest.raises(FileNotFoundError):
        generated.repeated("<!-- file: examples/gone.py -->\n<!-- end of file -->")
