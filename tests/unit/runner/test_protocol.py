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
    error = protocol.Error(text * 3000, text * 9000, text * 9000, inline=text * 3000, cure="c" * 500)
    data = protocol.dump_outcome(protocol.Outcome(protocol.Verdict.FAILED, error=error))
    assert len(data) <= TERMINATION_LIMIT
    assert protocol.load_outcome(data).outcome is protocol.Verdict.FAILED
