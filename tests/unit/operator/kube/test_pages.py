"""Pages of lists whose objects are as large as a tenant likes, over real HTTP: asked for in pieces that fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client
from tests.support.builders import run_object

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events.resync import Resync
from podtask_operator.kube import answers, pages
from podtask_operator.kube.client import Api, ApiError
from podtask_operator.settings import Settings
from podtask_operator.task_runs import held


@dataclass
class Server:
    """Objects as JSON texts."""

    texts: list[bytes]
    asked: list[int] = field(default_factory=list)
    """Objects that each request wanted."""
    sent: list[int] = field(default_factory=list)
    """Bytes of each answer that was sent whole."""
    expires: bool = False
    """Whether no page's token is good any more when it is used, as where a list takes longer than etcd's history."""
    resumes: bool = True
    """Whether such an answer has the token that goes on, as the API server's has."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("continue", "")
        start, limit = int(token.removesuffix("-later") or 0), int(request.query["limit"])
        self.asked.append(limit)
        if self.expires and token and not token.endswith("-later"):
            resume = {"continue": f"{token}-later"} if self.resumes else {}
            expired = {"reason": "Expired", "message": "The provided continue parameter is too old", "metadata": resume}
            return web.json_response({"kind": "Status", **expired}, status=410)
        meta: dict[str, Any] = {"resourceVersion": "9"}
        if start + limit < len(self.texts):
            meta["continue"] = str(start + limit)
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        items = b",".join(self.texts[start : start + limit])
        body = b'{"metadata":' + json.dumps(meta).encode() + b',"items":[' + items + b"]}"
        for piece in range(0, len(body), 1 << 20):
            await stream.write(body[piece : piece + (1 << 20)])
        self.sent.append(len(body))
        return stream


def filled(texts: Iterable[bytes], **how: bool) -> tuple[Server, ClusterCache]:
    """A cluster after its first list."""
    server, cluster = Server(list(texts), **how), ClusterCache()

    async def fill() -> None:
        app = web.Application()
        app.router.add_get("/apis/podtask.dev/v1alpha1/taskruns", server.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api = Api(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")))
        try:
            await Resync(api, cluster, Settings(store="memory://")).fill()
        finally:
            await api.close()
            await runner.cleanup()

    asyncio.run(fill())
    return server, cluster


def text(number: int, spec: dict[str, Any] | None = None) -> bytes:
    return json.dumps(run_object(spec, name=f"run{number}", metadata={"uid": f"uid-{number}"})).encode()


def test_small_ones_come_in_large_pages() -> None:
    server, cluster = filled(text(n) for n in range(5_000))
    assert (server.asked, len(cluster.runs)) == ([200, 400, 800, 1600, 1600, 1600], 5_000)
    assert max(server.sent) < pages.PAGE_BYTES / 2


def test_a_page_of_long_ones_after_many_small_ones_makes_the_next_pages_small() -> None:
    code = {"task": {"code": {"inline": "A" * 87384}}}
    server, cluster = filled([*(text(n) for n in range(600)), *(text(n, code) for n in range(600, 900))])
    assert len(cluster.runs) == 900
    assert server.asked[:4] == [200, 400, 800, 200]
    assert max(server.asked[4:]) <= 200


def test_long_ones_come_in_pages_of_so_many_bytes() -> None:
    code = {"task": {"code": {"inline": "A" * 87384}, "bundle": {"inline": "A" * 87384}}}
    server, cluster = filled(text(n, code) for n in range(150))
    assert len(cluster.runs) == 150
    assert server.asked[:2] == [200, 50]
    whole = [size for size in server.sent if size <= pages.PAGE_BYTES]
    assert sum(whole) >= 150 * 2 * 87384


def test_those_that_grow_when_they_are_parsed_come_one_by_one_and_are_cut() -> None:
    hostile = {"parameters": {"x": [[0]] * 300_000}}
    texts = [text(1), *(text(n, hostile) for n in (2, 3)), text(4)]
    assert held.weight(texts[1]) > pages.PAGE_WEIGHT / 2
    server, cluster = filled(texts)
    assert sorted(run.name for run in cluster.runs.values()) == ["run1", "run2", "run3", "run4"]
    assert server.asked[:5] == [200, 50, 12, 3, 1]
    assert all(len(run.spec_held) < 500 for run in cluster.runs.values())
    assert [run.name for run in cluster.runs.values() if run.too_large] == ["run2", "run3"]


def test_a_list_that_outlives_the_history_of_etcd_goes_on_where_it_was() -> None:
    server, cluster = filled((text(n) for n in range(450)), expires=True)
    assert len(cluster.runs) == 450
    assert server.asked == [200, 400, 400]


def test_a_list_that_cannot_go_on_says_why() -> None:
    with pytest.raises(ApiError, match="too old"):
        filled((text(n) for n in range(450)), expires=True, resumes=False)


def test_what_etcd_refuses_for_its_size_is_no_outage() -> None:
    with pytest.raises(ApiError, match="request is too large") as refusal:
        answers.check(500, b'{"message": "etcdserver: request is too large"}', "PATCH x")
    assert refusal.value.status == 413
