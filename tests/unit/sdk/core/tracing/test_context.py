"""W3C trace context is read defensively, and ids follow from UID and attempt."""

from __future__ import annotations

import pytest

from podtask.core.tracing.context import (
    LENGTH,
    TraceContext,
    inside_attempt,
    of_attempt,
    read,
    span_id_of,
    trace_id_of,
)

W3C = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The example of the specification."""
TOLD = "00-00000000000000000000000000000001-6cd0959606317c78-01"


def test_what_is_written_is_read_again() -> None:
    context = read(W3C)
    assert context == TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, sampled=True)
    assert context.traceparent == W3C
    assert len(W3C) == LENGTH
    unsampled = read(W3C[:-1] + "0")
    assert unsampled is not None
    assert (unsampled.sampled, unsampled.traceparent) == (False, W3C[:-1] + "0")


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "00-0-0-0",
        W3C.upper(),
        W3C + "\n",
        W3C + "-more",
        "01" + W3C[2:],
        "ff" + W3C[2:],
        W3C.replace("-", "_"),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        W3C.replace("0af7", "\u0660af7"),  # a digit of another script
        "x" * 1_000_000,
        [W3C],
    ],
)
def test_whatever_is_no_context_is_none(text: object) -> None:
    assert read(text) is None


def test_ids_never_change_because_pods_and_operators_of_two_releases_meet() -> None:
    assert f"{trace_id_of('uid-1'):032x}" == "131b2f7d2f6cb311941ae433f1242978"
    assert f"{span_id_of('uid-1', 'task-run'):016x}" == "9de96797347c2cec"
    assert of_attempt("uid-1", 1, 2, sampled=True).traceparent == TOLD


def test_every_attempt_of_every_run_has_an_id_of_its_own() -> None:
    ids = {of_attempt(uid, 1, number, sampled=True).span_id for uid in ("a", "b", "a/1") for number in range(1, 30)}
    assert len(ids) == 3 * 29


def test_the_code_inside_hears_of_its_attempt_in_the_trace_of_the_driver() -> None:
    told = read(inside_attempt("uid-1", 2, W3C))
    assert told is not None
    assert told.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert told.span_id == span_id_of("uid-1", "attempt/2")
    assert inside_attempt("uid-1", 2, None) is None
    assert inside_attempt("uid-1", 2, "no context") is None
