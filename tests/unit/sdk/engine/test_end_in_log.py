"""What a flow's log says of a failure that nobody is told of by an exception."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from podtask import flow, task
from podtask.states import Failed

LOGGER = "podtask.flow_runs"


def fails() -> None:
    raise ValueError("broken")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Messages of errors, and the words of their exceptions."""
    records = [record for record in caplog.records if record.name == LOGGER and record.levelno == logging.ERROR]
    return [(record.getMessage(), record.exc_info and str(record.exc_info[1])) for record in records]


def test_an_exception_is_logged_with_its_traceback_where_the_state_is_asked_for(caplog) -> None:
    flow(fails)(return_state=True)
    assert lines(caplog) == [
        ("Encountered exception during execution:", "broken"),
        ("Finished in state Failed('Flow run encountered an exception.')", None),
    ]
    assert "in fails" in caplog.text
    (trace,) = [record.exc_info[2] for record in caplog.records if record.exc_info]
    assert trace.tb_frame.f_code.co_name == "fails", "it begins with frames of podtask"


def test_a_parameter_that_is_refused_has_the_frames_there_are(caplog) -> None:
    @flow
    def counts(number: int) -> int:
        return number

    wrong: Any = "many"
    counts(wrong, return_state=True)
    assert "in validated" in caplog.text


def test_what_is_raised_is_not_logged(caplog) -> None:
    with pytest.raises(ValueError, match="broken"):
        flow(fails)()
    assert lines(caplog) == []


def test_a_flow_that_failed_without_an_exception_says_so_and_a_completed_one_nothing(caplog) -> None:
    bad = task(fails)
    flow(lambda: [bad()], name="of a task")(return_state=True)
    flow(lambda: Failed("my words"), name="by hand")(return_state=True)
    flow(lambda: 1, name="good")(return_state=True)
    assert [message for message, _ in lines(caplog)] == [
        "Finished in state Failed('1/1 states failed.')",
        "Finished in state Failed('my words')",
    ]


def test_an_async_flow_a_subflow_and_a_wrong_parameter_alike(caplog) -> None:
    @flow
    async def later() -> None:
        raise ValueError("of a subflow")

    @flow
    async def around(number: int) -> int:
        await later(return_state=True)
        return number

    wrong: Any = "many"
    asyncio.run(around(1))
    asyncio.run(around(wrong, return_state=True))
    exceptions = [words for _, words in lines(caplog) if words]
    assert exceptions[0] == "of a subflow"
    assert "'number': " in exceptions[1]
