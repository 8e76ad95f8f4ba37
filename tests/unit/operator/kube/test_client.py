"""The operator's requests: watches hold their connections, and no user's text in a name becomes another path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from kubernetes.aio import client

from podtask_operator.kube import answers
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable

NAMESPACES = 120


@asynccontextmanager
async def served() -> AsyncIterator[Api]:
    """An API server whose watches say nothing, and whose Leases are there."""
    async with recorded() as (api, _):
        yield api


@asynccontextmanager
async def recorded() -> AsyncIterator[tuple[Api, list[str]]]:
    """The same, with what it was asked for, as it came in."""
    over = asyncio.Event()
    asked: list[str] = []

    async def pods(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await over.wait()
        return answer

    async def lease(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Lease"})

    async def anything(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.raw_path}")
        return web.json_response({"reason": "NotFound", "message": "there is none"}, status=404)

    app = web.Application()
    app.add_routes(
        [
            web.get("/api/v1/namespaces/{namespace}/pods", pods),
            web.get("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}", lease),
            web.route("*", "/{anything:.*}", anything),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api = Api(client.ApiClient(client.Configuration(host=f"http://{host}:{port}")))
    try:
        yield api, asked
    finally:
        over.set()
        await api.close()
        await runner.cleanup()


def test_the_watches_of_many_namespaces_leave_connections_for_requests() -> None:
    async def test() -> None:
        async with served() as api, AsyncExitStack() as watches:
            for number in range(NAMESPACES):
                watch = api.pod_events(f"team-{number}", "1", 120)
                await asyncio.wait_for(watches.enter_async_context(watch), 10)
            assert await api.get_lease("podtask", "podtask-operator") == {"kind": "Lease"}

    asyncio.run(test())


@pytest.mark.parametrize("name", ["../../other/taskruns/hello", "..", ".", "hello/status", "a%2F..", "", "a/../b"])
def test_a_name_that_would_be_another_path_is_never_asked_for(name: str) -> None:
    async def test() -> None:
        async with recorded() as (api, asked):
            assert await api.get_run("team", name) is None
            assert await api.get_pod("team", name) is None
            for refused in (api.patch_status("team", name, {}), api.patch_pod("team", name, {})):
                with pytest.raises(ApiError, match="name of no object") as caught:
                    await refused
                assert caught.value.status == 404
            assert await api.get_run("team", "there") is None  # this one is asked for: the server counts
            assert asked == ["GET /apis/podtask.dev/v1alpha1/namespaces/team/taskruns/there"]

    asyncio.run(test())


def test_what_is_odd_in_a_name_stays_in_it() -> None:
    async def test() -> None:
        async with recorded() as (api, asked):
            assert await api.get_run("team", "asb?x=1#y") is None
            assert asked == ["GET /apis/podtask.dev/v1alpha1/namespaces/team/taskruns/asb%3Fx%3D1%23y"]

    asyncio.run(test())


def test_no_write_is_sent_into_a_namespace_whose_mark_is_not_held_and_reads_and_leases_are() -> None:
    async def test() -> None:
        async with recorded() as (api, asked):
            api.fence_in = {"team"}.__contains__
            for refused in (
                api.create_pod("other", {}),
                api.patch_status("other", "x", {}),
                api.create_event("other", {}),
            ):
                with pytest.raises(ApiUnavailable, match="owner's mark of namespace other"):
                    await refused
            assert asked == []
            assert await api.get_run("other", "x") is None
            for sent in (api.create_pod("team", {}), api.update_lease("other", "podtask-owner", {})):
                with pytest.raises(ApiError):
                    await sent
            assert len(asked) == 3

    asyncio.run(test())


def test_a_pod_is_posted_strictly() -> None:
    async def test() -> None:
        async with recorded() as (api, asked):
            with pytest.raises(ApiError):
                await api.create_pod("team", {"metadata": {"name": "x-1"}})
            assert asked == ["POST /api/v1/namespaces/team/pods?fieldValidation=Strict"]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'{"kind": "Status", "message": "Too large resource version: 9, current: 3", "code": 504}\n', "Too large res"),
        (b"upstream connect error\r\n", "upstream connect error"),
    ],
)
def test_an_answer_that_says_later_is_one_line_of_a_log(data: bytes, sentence: str) -> None:
    with pytest.raises(ApiUnavailable) as later:
        answers.check(504, data, "GET /x")
    assert str(later.value).startswith(f"GET /x: 504 {sentence}")
    assert str(later.value) == str(later.value).strip()
