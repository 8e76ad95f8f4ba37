"""The watch of pods against a server of this process, over real HTTP: what is seen, and where it goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events import pod_watch
from podtask_operator.events.pod_watch import PodWatch
from podtask_operator.kube import client as api_module
from podtask_operator.kube.client import Api, ApiError, ApiUnavailable
from podtask_operator.task_runs.key import Key

Object = dict[str, Any]


def pod(name: str, version: int, **metadata: Any) -> Object:
    return {
        "metadata": {"namespace": "team", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
        | metadata
    }


def event(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def expired() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


@dataclass
class Server:
    """Lists what is there; each watch says its next script, in pieces, and ends."""

    pods: list[Object] = field(default_factory=list)
    version: int = 10
    scripts: list[tuple[bytes, ...] | int] = field(default_factory=list)
    """Of each watch to come: what it sends, or the status it refuses with."""
    silent: bool = False
    breaks: bool = False
    late: int = 0
    """Where it is set: the tokens of the first page have expired by then, and the list goes on at this version."""
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == "podtask.dev/task-run"
        if "watch" in request.query:
            return await self._watch(request)
        start = int(request.query.get("continue") or 0)
        if start and self.late > self.version:
            self.version = self.late
            return web.json_response({"reason": "Expired", "metadata": {"continue": f"0{start}"}}, status=410)
        self.asked.append(f"list from {start}" if start else "list")
        shown = self.pods[start : start + 2]
        meta = {"resourceVersion": str(self.version)} | ({"continue": str(start + 2)} if self.pods[start + 2 :] else {})
        return web.json_response({"metadata": meta, "items": shown or None})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"watch after {request.query['resourceVersion']}")
        script = self.scripts.pop(0) if self.scripts else ()
        if isinstance(script, int):
            return web.json_response({"reason": "Expired", "message": "too old"}, status=script)
        stream = web.StreamResponse()
        await stream.prepare(request)
        for piece in script:
            await stream.write(piece)
        if self.silent:
            await asyncio.Event().wait()
        if self.breaks and request.transport is not None:
            request.transport.abort()
        return stream


@dataclass
class Scene:
    server: Server
    cluster: ClusterCache
    watch: PodWatch
    taken: list[str]

    async def served(self, failure: type[Exception] | tuple[type[Exception], ...] = ApiUnavailable) -> str:
        """Serve until it fails; why."""
        with pytest.raises(failure) as why:
            await asyncio.wait_for(self.watch.serve(asyncio.Event()), 20)
        return str(why.value)


@asynccontextmanager
async def scene(server: Server, namespace: str | None = "team") -> Any:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/team/pods", server.answer)
    app.router.add_get("/api/v1/pods", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    settings = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    api = Api(client.ApiClient(settings))
    cluster, taken = ClusterCache(), []

    def take(told: Object) -> None:
        if "metadata" not in told["object"]:  # as `Intake`, which logs it
            return
        taken.append(f"{told['type']} {told['object']['metadata']['name']}")
        (cluster.forget_pod if told["type"] == "DELETED" else cluster.put_pod)(told["object"])

    try:
        yield Scene(server, cluster, PodWatch(api, cluster, namespace, take), taken)
    finally:
        await api.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: a watch that ends with its script was ended at once."""
    monkeypatch.setattr(pod_watch, "AT_ONCE", 60.0)


def played(server: Server, test: Callable[[Scene], Awaitable[None]], namespace: str | None = "team") -> None:
    async def play() -> None:
        async with scene(server, namespace) as made:
            await test(made)

    asyncio.run(play())


def test_it_lists_page_by_page_and_watches_from_the_version_of_the_list_on() -> None:
    server = Server([pod("a", 3), pod("b", 4), pod("c", 5)], scripts=[(event("MODIFIED", pod("a", 11)),)])

    async def test(scene: Scene) -> None:
        await scene.served()
        assert server.asked[:3] == ["list", "list from 2", "watch after 10"]
        assert scene.taken == ["ADDED a", "ADDED b", "ADDED c", "MODIFIED a"]

    played(server, test)


def test_after_a_list_that_took_too_long_it_watches_from_the_version_that_is_still_there() -> None:
    server = Server([pod("a", 1), pod("b", 2), pod("c", 3)], late=20)

    async def test(scene: Scene) -> None:
        await scene.served()
        assert server.asked == ["list", "list from 2", "watch after 20"]
        assert len(scene.cluster.pods) == 3

    played(server, test)


def test_it_watches_all_namespaces_where_none_is_named() -> None:
    async def test(scene: Scene) -> None:
        await scene.served()
        assert scene.taken == ["ADDED a"]

    played(Server([pod("a", 3)]), test, None)


def test_a_watch_that_the_server_ends_is_opened_anew_after_the_event_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_watch, "AT_ONCE", 0.0)
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
    server = Server(scripts=[(event("ADDED", pod("a", 11)),), (event("DELETED", pod("a", 30)), bookmark), 410])

    async def test(scene: Scene) -> None:
        await scene.served(ApiError)
        assert server.asked == ["list", "watch after 10", "watch after 11", "watch after 40"]
        assert scene.taken == ["ADDED a", "DELETED a"]

    played(server, test)


def test_one_that_ends_at_once_is_a_failure_so_that_the_next_comes_after_a_pause() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.served() == "the server ended it at once"
        assert scene.server.asked == ["list", "watch after 10"]

    played(Server(), test)


@pytest.mark.parametrize("line", [b"{not json\n", b'{"type": "ADDED", "object": {}}\n'], ids=["no JSON", "no metadata"])
def test_after_what_nobody_understands_it_lists_again(line: bytes) -> None:
    server = Server(scripts=[(line,)])

    async def test(scene: Scene) -> None:
        await scene.served((ValueError, KeyError))
        await scene.served()
        assert server.asked == ["list", "watch after 10", "list", "watch after 10"]

    played(server, test)


@pytest.mark.parametrize("refusal", [410, (expired(),)], ids=["as the answer", "as an event"])
def test_when_the_version_is_too_old_it_lists_again_and_what_went_unseen_is_gone(refusal: Any) -> None:
    server = Server([pod("stays", 3), pod("goes", 4)], scripts=[refusal])

    async def test(scene: Scene) -> None:
        await scene.served(ApiError)
        server.pods, server.version = [pod("stays", 3), pod("new", 20)], 21
        await scene.served()
        assert server.asked == ["list", "watch after 10", "list", "watch after 21"]
        assert set(scene.cluster.pods) == {Key("team", "stays"), Key("team", "new")}
        assert scene.taken[2:] == ["ADDED stays", "ADDED new", "DELETED goes"]

    played(server, test)


def test_of_a_connection_that_breaks_within_a_line_the_whole_lines_count_and_no_list_is_needed() -> None:
    half = event("MODIFIED", pod("a", 12))[:-20]
    server = Server(scripts=[(event("ADDED", pod("a", 11)) + half,)], breaks=True)

    async def test(scene: Scene) -> None:
        await scene.served()
        server.breaks = False
        await scene.served()
        assert server.asked == ["list", "watch after 10", "watch after 11"]
        assert scene.taken == ["ADDED a"]

    played(server, test)


def test_a_line_in_many_pieces_is_one_event_however_long_it_is() -> None:
    line = event("ADDED", pod("a", 11, annotations={"long": "x" * 3_000_000}))
    pieces = tuple(line[start : start + 100_000] for start in range(0, len(line), 100_000))

    async def test(scene: Scene) -> None:
        await scene.served()
        assert scene.taken == ["ADDED a"]

    played(Server(scripts=[pieces]), test)


def test_a_server_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "WATCH_SPARE", 0.1)
    monkeypatch.setattr(pod_watch, "REOPEN", 0)

    async def test(scene: Scene) -> None:
        assert "WATCH /api/v1/namespaces/team/pods: " in await scene.served()
        assert not scene.watch.sign.down > 20

    played(Server(silent=True), test)


def test_it_counts_as_heard_of_from_the_moment_the_server_accepts_it() -> None:
    async def test(scene: Scene) -> None:
        assert scene.watch.sign.deaf
        serving = asyncio.create_task(scene.watch.serve(asyncio.Event()))
        while scene.watch.sign.deaf:
            assert not serving.done()
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert scene.watch.sign.deaf

    played(Server(silent=True), test)
