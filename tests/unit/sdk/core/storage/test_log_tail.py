"""The end of a log that its runner could not write: nothing twice, nothing left out unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podtask.core.storage.log_tail import ANCHOR, LIMIT, SURE, compose, missing, sentences

ENDED = "attempt 1 ended (OutOfMemory, exit code 137)"
PRINTED = b"".join(b"line %d\n" % n for n in range(1000))


def test_what_the_pod_still_holds_beyond_the_last_chunk_is_added_with_a_sentence() -> None:
    chunk = compose(PRINTED[:500], PRINTED, ENDED)
    assert chunk.startswith(PRINTED[500:])
    assert sentences(chunk) == [
        f"[podtask: {ENDED}; the end of its output was taken from the pod, what it printed in its last moment may be"
        " missing]"
    ]


def test_without_any_chunk_the_pods_log_is_the_log() -> None:
    assert compose(b"", b"only this", ENDED).startswith(b"only this\n[podtask: attempt 1 ended")


def test_a_pod_that_cannot_be_read_is_said() -> None:
    chunk = compose(b"before", None, ENDED, 'pods "a-1" not found')
    assert chunk.startswith(b"\n[podtask: attempt 1 ended (OutOfMemory, exit code 137); the pod's own log could not")
    assert b'(pods "a-1" not found), so the last seconds' in chunk


def test_a_hole_between_chunk_and_pod_is_marked() -> None:
    chunk = compose(b"early\n", b"late\n", ENDED)
    assert chunk.startswith(b"[podtask: output between the lines above and below is not in this log]\nlate\n[podtask: ")


def test_of_a_long_log_the_end_is_kept_and_the_cut_is_marked() -> None:
    chunk = compose(b"", b"x" * LIMIT + b"end", ENDED)
    assert sentences(chunk)[0] == "[podtask: output between the lines above and below is not in this log]"
    assert len(chunk) < LIMIT + 1000


SAME = b"still at it\n"


@pytest.mark.parametrize("shipped", [150, 300, 500])
@pytest.mark.parametrize("held", [500, 200, 60])
def test_a_task_that_prints_one_line_500_times_has_no_line_too_many_and_the_log_says_so(
    shipped: int, held: int
) -> None:
    chunk = compose(SAME * shipped, SAME * held, ENDED)
    assert shipped + chunk.count(SAME) <= 500
    assert "and of the lines that it printed again and again some more" in sentences(chunk)[0]


def test_what_follows_repeated_lines_is_not_lost() -> None:
    chunk = compose(SAME * 300, SAME * 300 + b"the end\n", ENDED)
    assert chunk.startswith(b"the end\n[podtask: ")


def test_a_log_without_repetition_is_not_said_to_have_any() -> None:
    assert "again and again" not in sentences(compose(PRINTED[:5000], PRINTED, ENDED))[0]


LINES = st.lists(st.integers(10**9, 10**12), max_size=300, unique=True)


@given(LINES, st.integers(0, 5000), st.integers(0, 5000))
def test_chunks_and_last_words_together_are_the_output_or_a_hole_is_marked(
    numbers: list[int], shipped: int, forgotten: int
) -> None:
    output = b"".join(b"%d\n" % number for number in numbers)
    stored, pod = output[:shipped], output[forgotten:]
    rest, gap, _ = missing(stored[-2 * ANCHOR :], pod)
    if not gap and stored and pod:
        assert stored + rest == output
    else:
        assert rest == pod
    if stored and pod and forgotten <= len(stored) - 2 * SURE:
        assert not gap
