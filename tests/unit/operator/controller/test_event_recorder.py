"""Events are posted a few at a time, and those that were told are posted before the process ends."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from tests.support.builders import run as a_run
from tests.support.virtual_time import run

from podtask.core.lifecycle.rendering import Event
from podtask_operator.controller.event_recorder import BACKLOG, POSTERS, EventRecorder
from podtask_operator.kube.client import ApiError

TOLD = [Event("Normal", "AttemptStarted", f"Attempt {number}.") for number in range(3)]


class Slow:
    """An API server that takes a second for each Event."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.names: list[str] = []

    async def create_event(self, _: str, event: dict[str, Any]) -> None:
        await asyncio.sleep(1)
        if event["message"] == "Attempt 1.":
            raise ApiError(403, "Forbidden", "quota of Events")
        self.posted.append(event["message"])
        self.names.append(event["metadata"]["name"])


def test_what_was_told_is_posted_before_the_end_and_a_refusal_stops_nothing() -> None:
    async def test() -> None:
        api = Slow()
        recorder = EventRecorder(api)  # type: ignore[arg-type]
        posting = asyncio.create_task(recorder.run())
        recorder.tell(a_run(), TOLD)
        await recorder.flush(10)
        assert api.posted == ["Attempt 0.", "Attempt 2."]
        posting.cancel()

    run(test())


def test_the_order_of_what_happens_in_one_microsecond_is_in_the_names() -> None:
    async def test() -> None:
        api = Slow()
        recorder = EventRecorder(api)  # type: ignore[arg-type]
        posting = asyncio.create_task(recorder.run())
        recorder.tell(a_run(), [Event("Normal", "AttemptStarted", str(number)) for number in range(100)])
        await recorder.flush(1000)
        assert sorted(api.posted, key=int) == [str(number) for number in range(100)]
        assert [text for _, text in sorted(zip(api.names, api.posted, strict=True))] == sorted(api.posted, key=int)
        assert len(set(api.names)) == 100
        assert all(re.fullmatch(r"hello\.[0-9a-f]{16}", name) for name in api.names)
        posting.cancel()

    run(test())


def test_the_end_does_not_wait_for_a_slow_server(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        recorder = EventRecorder(Slow())  # type: ignore[arg-type]
        posting = asyncio.create_task(recorder.run())
        recorder.tell(a_run(), TOLD)
        await recorder.flush(0.5)
        posting.cancel()

    run(test())
    assert "3 Events were not posted before the end" in caplog.text


def test_too_many_are_dropped_with_a_word_and_never_make_a_reconcile_wait(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        recorder = EventRecorder(Slow())  # type: ignore[arg-type]
        recorder.tell(a_run(), TOLD[:1] * (BACKLOG + 1))

    with caplog.at_level(logging.WARNING):
        asyncio.run(test())
    assert caplog.messages == ["1 Events were dropped: the API server takes them too slowly"]


def test_a_slow_answer_does_not_hold_up_the_events_of_others() -> None:
    async def test() -> None:
        api = Slow()
        recorder = EventRecorder(api)  # type: ignore[arg-type]
        posting = asyncio.create_task(recorder.run())
        began = asyncio.get_running_loop().time()
        recorder.tell(a_run(), [Event("Normal", "AttemptStarted", str(number)) for number in range(POSTERS)])
        await recorder.flush(1000)
        assert asyncio.get_running_loop().time() - began == 1  # of the virtual clock: all at the same time
        posting.cancel()

    run(test())


def test_dropped_events_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        recorder = EventRecorder(Slow())  # type: ignore[arg-type]
        recorder.tell(a_run(), [Event("Normal", "AttemptStarted", "x")] * (BACKLOG + 1500))

    with caplog.at_level(logging.WARNING):
        run(test())
    assert [record.getMessage() for record in caplog.records] == [
        f"{count} Events were dropped: the API server takes them too slowly" for count in (1, 1001)
    ]
