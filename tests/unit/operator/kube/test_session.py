"""What kopf gets to see, over real HTTP: of a list the version, of a watch no line that is heavy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from tests.support.builders import run_object

from podtask_operator.kube.echoes import Echoes
from podtask_operator.kube.session import WatchLines, response_class
from podtask_operator.task_runs import held
from podtask_operator.task_runs.parse import TOO_LARGE

PATH = "/apis/podtask.dev/v1alpha1/taskruns"
HOSTILE = run_object({"parameters": {"x": [[0]] * 200_000}}, name="hostile")


@asynccontextmanager
async def session(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    listed: Callable[[], None] = lambda: None,
    echoes: Echoes | None = None,
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(response_class=response_class(listed, echoes or Echoes())) as client:
            yield client, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_list_has_a_version_and_no_objects_and_somebody_is_told() -> None:
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        meta = {"resourceVersion": "42", "continue": "more"}
        return web.json_response({"kind": "TaskRunList", "metadata": meta, "items": [HOSTILE]})

    async def test() -> None:
        async with session(answer, lambda: told.append("listed")) as (client, host):
            for path, whole in ((f"{PATH}?limit=1", False), ("/apis/podtask.dev/v1alpha1", True)):
                async with client.get(host + path) as response:
                    found = await response.json()
                assert (len(found["items"]), "continue" in found["metadata"]) == (int(whole), whole)
                assert found["metadata"]["resourceVersion"] == "42"

    asyncio.run(test())
    assert told == ["listed"]


async def lines(response: aiohttp.ClientResponse) -> list[Any]:
    """As kopf reads them."""
    data = b"".join([chunk async for chunk in response.content.iter_chunked(1024 * 1024)])
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def test_a_heavy_line_is_cut_and_the_others_come_as_they_are() -> None:
    events = [{"type": "ADDED", "object": obj} for obj in (run_object(), HOSTILE, run_object(name="last"))]

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        whole = b"".join(json.dumps(event).encode() + b"\n" for event in events) + b'{"type": "ADDED", "obj'
        for start in range(0, len(whole), 100_000):
            await stream.write(whole[start : start + 100_000])
        return stream

    async def test() -> list[Any]:
        async with session(answer) as (client, host), client.get(f"{host}{PATH}?watch=true") as response:
            assert isinstance(response.content, WatchLines)
            return await lines(response)

    first, second, third = asyncio.run(test())
    assert (first, third) == (events[0], events[2])
    assert second["object"]["metadata"]["name"] == "hostile"
    assert second["object"]["spec"] == held.STUB
    assert "too many parts" in second["object"][TOO_LARGE]
    assert len(json.dumps(second)) < 1000


def test_a_watch_does_not_tell_of_what_the_answer_to_an_own_write_has_shown() -> None:
    versions = ("7", "8", "9")
    events = [{"type": "MODIFIED", "object": run_object(metadata={"resourceVersion": v})} for v in versions]
    echoes = Echoes()
    echoes.wrote(events[1]["object"]["metadata"]["uid"], "8")

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        for event in events:
            await stream.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        return stream

    async def test() -> list[Any]:
        async with session(answer, echoes=echoes) as (client, host), client.get(f"{host}{PATH}?watch=true") as response:
            return await lines(response)

    assert asyncio.run(test()) == [events[0], events[2]]


def test_a_refusal_can_still_be_read_as_an_error() -> None:
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "metadata": {}, "code": 410}, status=410)

    async def test() -> None:
        async with session(answer, lambda: told.append("listed")) as (client, host):
            for query in ("watch=true", "limit=1"):
                async with client.get(f"{host}{PATH}?{query}") as response:
                    assert (response.status, (await response.json())["code"]) == (410, 410)

    asyncio.run(test())
    assert told == []
