"""Grants and outcomes as bytes."""

from __future__ import annotations

import json

import pytest

from podtask_runner import protocol
from podtask_runner.names import TERMINATION_LIMIT

SLOT = protocol.Slot(protocol.Put("u", {"If-None-Match": "*"}), "g")
GRANTS = protocol.Grants(
    "ns",
    "run",
    "uid",
    2,
    protocol.Code(source="x"),
    SLOT,
    SLOT,
    SLOT,
    parameters={"a": None},
    tags=("t",),
    retries_used=1,
)


def test_grants_come_back() -> None:
    assert protocol.load_grants(protocol.dump(GRANTS)) == GRANTS


def test_unknown_keys_are_ignored() -> None:
    data = {**json.loads(protocol.dump(GRANTS)), "later": 1}
    data["code"]["later"] = 2
    assert protocol.load_grants(json.dumps(data).encode()) == GRANTS


@pytest.mark.parametrize("data", [b"", b"[]", b'{"v":1}', b'{"outcome":"Sideways"}'])
def test_what_is_no_message_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        protocol.load_grants(data)
    with pytest.raises(ValueError):
        protocol.load_outcome(data)


@pytest.mark.parametrize(
    "text", ["x", "ü", "\x00", '"', "\udc80"], ids=["plain", "umlauts", "control characters", "quotes", "surrogates"]
)
def test_an_outcome_fits_whatever_it_says(text: str) -> None:
    error = protocol.Error(text * 3000, text * 9000, text * 9000, inline=text * 3000, cure=text * 9000)
    data = protocol.dump_outcome(protocol.Outcome(protocol.Verdict.FAILED, error=error))
    assert len(data) <= TERMINATION_LIMIT
    assert protocol.load_outcome(data).outcome is protocol.Verdict.FAILED


@pytest.mark.parametrize("verdict", list(protocol.Verdict))
def test_an_outcome_has_a_last_word_whatever_it_holds(verdict: protocol.Verdict) -> None:
    result = protocol.Result("d" * 9000, 1, "s" * 9000, "c" * 9000, "v" * 9000, "i" * 9000, "u" * 9000)
    error = protocol.Error("t" * 9000, "m" * 9000, "b" * 9000, "d" * 64, 1, "i" * 9000, cure="c" * 9000)
    timings = {str(number): 1.0 for number in range(2000)}
    for outcome in (
        protocol.Outcome(verdict, result, None, timings),
        protocol.Outcome(verdict, result, error, timings),
    ):
        data = protocol.dump_outcome(outcome)
        assert len(data) <= TERMINATION_LIMIT
        assert protocol.load_outcome(data).error is not None
