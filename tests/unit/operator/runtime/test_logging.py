"""Log lines as machines read them: every line that is about a TaskRun names it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import pytest
from tests.support.virtual_time import run

from podtask_operator.controller.work_queue import WorkQueue
from podtask_operator.runtime.logging import Context, about, formatter
from podtask_operator.task_runs.key import Key


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(formatter("json"))
    handler.addFilter(Context())
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [handler])
    return text


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_names_what_it_is_about(written: io.StringIO) -> None:
    log = logging.getLogger("podtask_operator.controller.applier")
    log.warning("outside")
    with about("team", "hello", 2):
        log.warning("inside %s", "it")
    outside, inside = lines(written)
    assert outside.pop("time")[-6:] == "+00:00"
    assert outside == {"level": "WARNING", "logger": "podtask_operator.controller.applier", "message": "outside"}
    assert inside.items() > {"message": "inside it", "namespace": "team", "taskRun": "hello", "attempt": 2}.items()


def test_a_reconcile_that_fails_is_logged_with_its_run_and_its_traceback_on_one_line(written: io.StringIO) -> None:
    async def test() -> None:
        async def work(_: Key) -> None:
            await asyncio.to_thread(logging.getLogger("podtask.store").warning, "from a thread")
            asyncio.get_running_loop().call_later(0.05, done.set)
            raise ValueError("broken")

        done = asyncio.Event()
        queue = WorkQueue(work, 1)
        serving = asyncio.create_task(queue.run())
        queue.add(Key("team", "hello"))
        await done.wait()
        serving.cancel()

    asyncio.run(test())
    told = lines(written)
    assert [line["message"][:16] for line in told] == ["from a thread", "reconcile failed", "team/hello: brok"]
    assert all((line["namespace"], line["taskRun"]) == ("team", "hello") for line in told)
    assert "ValueError: broken" in told[1]["traceback"]


def test_lines_of_two_runs_at_the_same_time_are_not_mixed_up(written: io.StringIO) -> None:
    async def test() -> None:
        async def work(key: Key) -> None:
            await asyncio.sleep(1)
            logging.getLogger("podtask_operator").warning(key.name)

        queue = WorkQueue(work, 8)
        serving = asyncio.create_task(queue.run())
        for number in range(8):
            queue.add(Key("team", f"run-{number}"))
        await asyncio.sleep(2)
        serving.cancel()

    run(test())
    assert [line["taskRun"] for line in lines(written)] == [line["message"] for line in lines(written)]


def test_text_for_people_has_no_json() -> None:
    record = logging.LogRecord("podtask_operator", logging.INFO, "", 0, "serving %s", ("team",), None)
    assert formatter("text").format(record).endswith("INFO    podtask_operator: serving team")
