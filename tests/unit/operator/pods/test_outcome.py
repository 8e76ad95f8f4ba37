"""A termination message is bytes that user code could have written: used in full, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DIGEST

from podtask_operator.pods.outcome import parse
from podtask_runner import protocol
from podtask_runner.protocol import Error, Outcome, Result, Verdict

STORED = {"digest": DIGEST, "size": 2, "serializer": "json"}

NOT_ONE: dict[str, Any] = {
    "a list": [],
    "a number": 7,
    "no verdict": {"v": 1},
    "an unknown verdict": {"outcome": "Splendid"},
    "a result that is a text": {"outcome": "Completed", "result": "yes"},
    "a digest that is a path": {"outcome": "Completed", "result": {**STORED, "digest": "../../other/result"}},
    "a digest in capitals": {"outcome": "Completed", "result": {**STORED, "digest": DIGEST.upper()}},
    "a negative size": {"outcome": "Completed", "result": {**STORED, "size": -1}},
    "a size beyond all integers": {"outcome": "Completed", "result": {**STORED, "size": 10**30}},
    "a serializer longer than a status allows": {
        "outcome": "Completed",
        "result": {**STORED, "serializer": "x" * 2000},
    },
    "a reason that is a number": {"outcome": "Completed", "result": {**STORED, "uncached": 5}},
    "a message that is a number": {"outcome": "Failed", "error": {"type": "E", "message": 5}},
    "timings that are a number": {"outcome": "Failed", "timings": 5},
    "a delay that is a text": {"outcome": "Failed", "timings": {"delay": "soon"}},
}


@pytest.mark.parametrize("said", NOT_ONE.values(), ids=NOT_ONE.keys())
def test_is_not_an_outcome(said: Any) -> None:
    assert parse(json.dumps(said).encode()) is None


@pytest.mark.parametrize("data", [b"", b"OOM", b"\xff\xfe", b"{", b"[" * 4000, b'{"outcome":"Failed","timings":{'])
def test_bytes_that_are_not_json(data: bytes) -> None:
    assert parse(data) is None


def test_reads_what_the_runner_writes() -> None:
    said = Outcome(
        Verdict.FAILED,
        result=Result(DIGEST, 2, "json", contentHash="c", value="1"),
        error=Error("ValueError", "no", traceback="t", digest=DIGEST, size=3, retryable=False, cure="c"),
        timings={"run": 1.5},
    )
    assert parse(protocol.dump(said)) == said


def test_ignores_what_a_newer_runner_adds() -> None:
    said = parse(b'{"v":9,"outcome":"Interrupted","mood":"fine","error":{"type":"T","message":"m","mood":1}}')
    assert said == Outcome(Verdict.INTERRUPTED, error=Error("T", "m"), v=9)


def test_texts_fit_into_a_status() -> None:
    said = parse(
        json.dumps({"outcome": "Failed", "error": {"type": "T" * 3000, "message": "m", "cure": "c" * 3000}}).encode()
    )
    assert said is not None
    assert said.error is not None
    assert (len(said.error.type), len(said.error.cure or "")) == (256, 1024)


def test_why_a_result_is_not_published_fits_into_a_status() -> None:
    said = parse(json.dumps({"outcome": "Completed", "result": {**STORED, "uncached": "u" * 3000}}).encode())
    assert said is not None
    assert said.result is not None
    assert said.result.uncached == "u" * 1024


def test_an_error_without_a_real_digest_keeps_its_words() -> None:
    said = parse(b'{"outcome":"Failed","error":{"type":"T","message":"m","digest":"x","size":1}}')
    assert said is not None
    assert said.error == Error("T", "m")


def test_delays_are_seconds_one_can_wait() -> None:
    said = parse(b'{"outcome":"Failed","timings":{"delay":1e300,"run":NaN,"load":Infinity,"store":-1}}')
    assert said is not None
    assert said.timings == {"delay": 604800.0}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
)
SHAPED = st.fixed_dictionaries(
    {"outcome": st.sampled_from([str(v) for v in Verdict])},
    optional={
        "v": JSON,
        "timings": JSON | st.dictionaries(st.sampled_from(["delay", "run"]), JSON),
        "result": JSON | st.fixed_dictionaries({"digest": JSON | st.just(DIGEST), "size": JSON, "serializer": JSON}),
        "error": JSON | st.fixed_dictionaries({"type": JSON, "message": JSON}, optional={"digest": JSON, "size": JSON}),
    },
)


@given(SHAPED)
def test_whatever_is_said_gives_an_outcome_or_none(said: dict[str, Any]) -> None:
    found = parse(json.dumps(said).encode("utf-8", "surrogatepass"))
    if found is not None and found.error is not None:
        assert isinstance(found.error.message, str)
