"""The connections of the operator: watches hold theirs for minutes, and no request may wait for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from kubernetes.aio import client

from podtask_operator.kube.client import Api

NAMESPACES = 120


@asynccontextmanager
async def served() -> AsyncIterator[Api]:
    """An API server whose watches say nothing, and whose Leases are there."""
    over = asyncio.Event()

    async def pods(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await over.wait()
        return answer

    async def lease(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Lease"})

    app = web.Application()
    app.add_routes(
        [
            web.get("/api/v1/namespaces/{namespace}/pods", pods),
            web.get("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}", lease),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api = Api(client.ApiClient(client.Configuration(host=f"http://{host}:{port}")))
    try:
        yield api
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
