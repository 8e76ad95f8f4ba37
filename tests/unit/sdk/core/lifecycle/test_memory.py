"""Memory after out-of-memory kills: exact quantities, growth up to the maximum, and nothing after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.core.api.quantity import in_bytes, in_words, is_quantity
from podtask.core.lifecycle.memory import MemoryGrowth

MI, GI = 2**20, 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512Mi", 512 * MI), ("1.5Gi", 1536 * MI), ("128974848", 128974848), (128974848, 128974848),
        ("129e6", 129000000), ("129M", 129000000), ("1E", 10**18), ("1e3", 1000), ("1500m", 2), (".5Ki", 512),
        ("+1Ki", 1024), ("0", 0), ("9.7Gi", 10415295693),
    ],
)  # fmt: skip
def test_quantities_are_exact(text: str | int, size: int) -> None:
    assert in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "1 Gi", "-1Gi", "Gi", "1gi", "1KiB", "1e", "٣Gi", "1e999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    assert not is_quantity(text)
    with pytest.raises(ValueError, match="not a quantity"):
        in_bytes(text)


@given(st.integers(0, 2**62))
def test_words_say_the_same_number_of_bytes(size: int) -> None:
    assert in_bytes(in_words(size)) == size


@pytest.mark.parametrize(
    ("factor", "base", "most", "grows"),
    [
        (2.0, 512 * MI, 2 * GI, ["512Mi", "1Gi", "2Gi", None]),
        (2.0, 768 * MI, 2 * GI, ["768Mi", "1536Mi", "2Gi", None]),
        (1.1, 512 * MI, GI, ["512Mi", "564Mi", "620Mi", "682Mi", None]),  # whole mebibytes, attempts used up
        (10.0, GI, GI + 1, ["1Gi", "1073741825", None]),
        (2.0, 1000, 10**6, ["1000", "2000", "4000", "8000", None]),
    ],
)
def test_each_attempt_has_more_than_the_last_until_there_is_no_more(
    factor: float, base: int, most: int, grows: list[str | None]
) -> None:
    growth = MemoryGrowth(factor, most, attempts=3, base=base)
    told: list[str | None] = []
    for kills in range(9):
        told.append(growth.text(kills))
        if growth.next_after(kills) is None:
            told.append(None)
            break
    assert told == grows


@given(st.floats(1.0001, 10), st.integers(1, 2**45), st.integers(1, 2**46), st.integers(0, 20), st.floats(0, 1))
def test_a_request_never_outgrows_its_limit_nor_the_limit_its_maximum(
    factor: float, limit: int, most: int, kills: int, share: float
) -> None:
    request = int(limit * share)
    growth = MemoryGrowth(factor, most, attempts=20, base=limit)
    assert growth.grown(request, kills) <= growth.grown(limit, kills) <= max(limit, most)
    assert growth.grown(limit, kills) <= growth.grown(limit, kills + 1)
