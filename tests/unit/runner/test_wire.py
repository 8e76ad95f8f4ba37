"""Grants and outcomes as bytes."""

from __future__ import annotations

import json

import pytest

from podtask_runner import wire
from podtask_runner.names import TERMINATION_LIMIT

SLOT = wire.Slot(wire.Put("u", {"If-None-Match": "*"}), "g")
GRANTS = wire.Grants(
    "ns", "run", "uid", 2, wire.Code(source="x"), SLOT, SLOT, SLOT, parameters={"a": None}, tags=("t",), retries_used=1
)


def test_grants_come_back() -> None:
    assert wire.load_grants(wire.dump(GRANTS)) == GRANTS


def test_unknown_keys_are_ignored() -> None:
    data = {**json.loads(wire.dump(GRANTS)), "later": 1}
    data["code"]["later"] = 2
    assert wire.load_grants(json.dumps(data).encode()) == GRANTS


@pytest.mark.parametrize("data", [b"", b"[]", b'{"v":1}', b'{"outcome":"Sideways"}'])
def test_what_is_no_message_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        wire.load_grants(data)
    with pytest.raises(ValueError):
        wire.load_outcome(data)


@pytest.mark.parametrize(
    "text", ["x", "ü", "\x00", '"', "\udc80"], ids=["plain", "umlauts", "control characters", "quotes", "surrogates"]
)
def test_an_outcome_fits_whatever_it_says(text: str) -> None:
    error = wire.Error(text * 3000, text * 9000, text * 9000, inline=text * 3000, cure="c" * 500)
    data = wire.dump_outcome(wire.Outcome(wire.Verdict.FAILED, error=error))
    assert len(data) <= TERMINATION_LIMIT
    assert wire.load_outcome(data).outcome is wire.Verdict.FAILED
