"""The chart grants what the operator asks for, and nothing that it never asks for: by the requests themselves."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web
from kubernetes.aio import client
from tests.unit.chart_kit import LEASE_RULES, OPERATOR_RULES

from podtask_operator.kube.client import Api, ApiError

NS, NAME = "team", "hello"
OBJECT: dict[str, Any] = {"metadata": {"name": NAME}}
CALLS: dict[str, Callable[[Api], Any]] = {
    "get_run": lambda api: api.get_run(NS, NAME),
    "patch_status": lambda api: api.patch_status(NS, NAME, {}),
    "delete_run": lambda api: api.delete_run(NS, NAME, "uid"),
    "list_runs": lambda api: api.list_runs(NS),
    "namespace_uid": lambda api: api.namespace_uid(NS),
    "get_flow_run": lambda api: api.get_flow_run(NS, NAME),
    "list_flow_runs": lambda api: api.list_flow_runs(NS),
    "patch_flow_run_status": lambda api: api.patch_flow_run_status(NS, NAME, {}),
    "delete_flow_run": lambda api: api.delete_flow_run(NS, NAME, "uid"),
    "list_warm_pools": lambda api: api.list_warm_pools(NS),
    "patch_warm_pool_status": lambda api: api.patch_warm_pool_status(NS, NAME, {}),
    "claim_pod": lambda api: api.claim_pod(NS, NAME, []),
    "remove_idle_pod": lambda api: api.remove_idle_pod(NS, NAME, "uid", "1"),
    "get_pod": lambda api: api.get_pod(NS, NAME),
    "pod_log": lambda api: api.pod_log(NS, NAME, 1, 1, 1.0),
    "create_pod": lambda api: api.create_pod(NS, OBJECT),
    "patch_pod": lambda api: api.patch_pod(NS, NAME, {}),
    "delete_pod": lambda api: api.delete_pod(NS, NAME, "uid"),
    "list_pods": lambda api: api.list_pods(NS),
    "pod_pages": lambda api: api.pod_pages(NS),
    "pod_events": lambda api: api.pod_events(NS, "1", 1),
    "apply_secret": lambda api: api.apply_secret(NS, OBJECT),
    "delete_secret": lambda api: api.delete_secret(NS, NAME),
    "events_of": lambda api: api.events_of(NS, "uid", 1),
    "create_event": lambda api: api.create_event(NS, OBJECT),
    "get_lease": lambda api: api.get_lease(NS, NAME),
    "create_lease": lambda api: api.create_lease(NS, OBJECT),
    "update_lease": lambda api: api.update_lease(NS, NAME, OBJECT),
}
WITHOUT_REQUEST = {"connect", "close", "settled", "fence", "late"}
KOPF = {
    (("podtask.dev", plural), verb) for plural in ("taskruns", "flowruns", "warmpools") for verb in ("list", "watch")
}
"""What kopf asks for beside the client."""

Right = tuple[tuple[str, str], str]


def right(method: str, path: str, query: dict[str, str]) -> set[Right]:
    """The rights that a request needs, as Kubernetes names them."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    if method == "GET":
        return {((group, resource), "watch" if "watch" in query else "get" if len(rest) > 1 else "list")}
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    applied = {((group, resource), "create")} if "fieldManager" in query and resource == "secrets" else set()
    return {((group, resource), verb), *applied}


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[Api, set[Right]]]:
    found: set[Right] = set()

    async def anything(request: web.Request) -> web.Response:
        found.update(right(request.method, request.path, dict(request.query)))
        return web.json_response({"reason": "NotFound", "message": "there is none"}, status=404)

    app = web.Application()
    app.add_routes([web.route("*", "/{anything:.*}", anything)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api = Api(client.ApiClient(client.Configuration(host=f"http://{host}:{port}")))
    try:
        yield api, found
    finally:
        await api.close()
        await runner.cleanup()


async def perform(call: Any) -> None:
    """Whatever kind of call it is: awaited, iterated, or entered."""
    with suppress(ApiError):
        if inspect.isawaitable(call):
            await call
        elif hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            async with call:
                pass


def test_every_public_call_is_in_the_table() -> None:
    public = {name for name, _ in inspect.getmembers(Api) if not name.startswith("_")}
    assert public - WITHOUT_REQUEST == set(CALLS)


def test_the_chart_grants_exactly_what_the_operator_asks_for() -> None:
    async def test() -> set[Right]:
        async with asked() as (api, found):
            for make in CALLS.values():
                await perform(make(api))
        return found

    granted = {(what, verb) for each in (OPERATOR_RULES, LEASE_RULES) for what, verbs in each.items() for verb in verbs}
    assert asyncio.run(test()) | KOPF == granted
