"""Memory of the operator's caches: per TaskRun, and against TaskRuns that a hostile tenant made as large as etcd takes.

Needs no cluster: a server of this process lists and watches what a tenant would have created, and a process with the
operator's own first list and kopf's watch reads it. PODTASK_BENCH_BESIDE=<another checkout> is measured as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.bench.tables import show
from tests.cluster.kit import ROOT
from tests.cluster.operator_process import SOURCES
from tests.support.builders import run_object
from tests.unit.operator.task_runs.test_held import attempt_pod, obj

HOSTILE = 15
READER = """
import asyncio, json, resource, sys, os
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events import kopf_source
from podtask_operator.events.intake import Intake
from podtask_operator.events.resync import Resync
from podtask_operator.kube.client import Api
from podtask_operator.settings import Settings
from podtask_operator.task_runs.key import Key

async def main(kind, count):
    told = Settings(store="s3://b/p", namespaces=("team",))
    cluster = ClusterCache()
    def now():
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0])
    start = now()
    if kind == "held":
        for line in sys.stdin:
            run, pod = json.loads(line)
            cluster.put_run(run)
            cluster.put_pod(pod)
    else:
        api, stop, left = await Api.connect(), asyncio.Event(), [count]
        await Resync(api, cluster, told).fill()
        class Watched(Intake):
            def task_run(self, event):
                super().task_run(event)
                left[0] -= event["type"] == "MODIFIED"
                if left[0] <= 0:
                    stop.set()
        await kopf_source.serve(told, Watched(cluster, lambda key: None), stop, lambda path: None)
        await api.close()
    rest, most = now()
    print(json.dumps({"start": start[0], "rest": rest, "most": most, "runs": len(cluster.runs)}))
    sys.stdout.flush()
    os._exit(0)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

SHAPES: dict[str, dict[str, Any]] = {
    "parameters of many lists, 1.2 MB": {"parameters": {"x": [[0]] * 240_000}},
    "parameters of many keys, 1.2 MB": {"parameters": {"x": {f"k{n}": {} for n in range(90_000)}}},
    "one text in podTemplate, 1.2 MB": {"podTemplate": {"labels": {"a": "x" * 1_200_000}}},
    "env, 1.2 MB": {"env": [{"name": f"A{n}", "value": "x" * 32768} for n in range(36)]},
}


def read(checkout: Path, kind: str, count: int, stdin: bytes | None = None, kubeconfig: str = "") -> dict[str, int]:
    """What one process of this checkout took."""
    path = os.pathsep.join(str(checkout / source) for source in SOURCES)
    done = subprocess.run(
        [sys.executable, "-c", READER, kind, str(count)],
        input=stdin,
        env={**os.environ, "PYTHONPATH": path, "KUBECONFIG": kubeconfig},
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the reader of {checkout} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def _resource(plural: str, kind: str, *, namespaced: bool) -> dict[str, Any]:
    verbs = ["list", "watch", "get", "patch"]
    names = {"name": plural, "kind": kind, "singularName": kind.lower(), "shortNames": []}
    return {**names, "namespaced": namespaced, "verbs": verbs}


VERSION = {"groupVersion": "podtask.dev/v1alpha1", "version": "v1alpha1"}
DISCOVERY: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [_resource("namespaces", "Namespace", namespaced=False)]},
    "/apis": {"groups": [{"name": "podtask.dev", "versions": [VERSION], "preferredVersion": VERSION}]},
    "/apis/podtask.dev/v1alpha1": {"resources": [_resource("taskruns", "TaskRun", namespaced=True)]},
}


class Server:
    """An API server with nothing but the TaskRuns of one tenant; a watch tells of each of them once more."""

    def __init__(self, texts: list[bytes]) -> None:
        self._texts = texts

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if not request.path.endswith("/taskruns"):
            return web.json_response({"metadata": {"name": "team"}})
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        if "watch" in request.query:
            for text in self._texts:
                await stream.write(b'{"type":"MODIFIED","object":' + text.replace(b'"7"', b'"8"', 1) + b"}\n")
            await asyncio.Event().wait()
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 500)
        meta = {"resourceVersion": "7"}
        if start + limit < len(self._texts):
            meta["continue"] = str(start + limit)
        items = b",".join(self._texts[start : start + limit])
        with suppress(ConnectionError):  # a page that is too large is given up
            await stream.write(b'{"metadata":' + json.dumps(meta).encode() + b',"items":[' + items + b"]}")
        return stream


async def against(texts: list[bytes], work: Callable[[str], dict[str, int]]) -> dict[str, int]:
    """`work(kubeconfig)` in a thread, while the server answers."""
    app = web.Application()
    app.router.add_get("/{path:.*}", Server(texts).answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    config = {"current-context": "c", "clusters": [cluster], "contexts": [context]}
    users = [{"name": "c", "user": {"token": "t"}}]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"apiVersion": "v1", "kind": "Config", **config, "users": users}, file)
        file.flush()
        try:
            return await asyncio.to_thread(work, file.name)
        finally:
            await runner.cleanup()


def main() -> None:
    beside = os.environ.get("PODTASK_BENCH_BESIDE")
    checkouts = {"this": ROOT, **({"other": Path(beside)} if beside else {})}
    rows = []
    for kind, finished, count in (("finished", True, 5_000), ("live", False, 2_000)):
        lines = (json.dumps([obj(n, finished=finished), attempt_pod(n, finished=finished)]) for n in range(count))
        data = "\n".join(lines).encode()
        taken = [read(checkout, "held", count, data) for checkout in checkouts.values()]
        rows.append([kind, *(f"{1024 * (each['rest'] - each['start']) / count:.0f}" for each in taken)])
    show("bytes of resident memory per TaskRun with its pod", ["", *checkouts], rows)
    rows = []
    for shape, spec in SHAPES.items():
        texts = [
            json.dumps(run_object(spec, name=f"run{n}", metadata={"uid": f"uid-{n}"}), separators=(",", ":")).encode()
            for n in range(HOSTILE)
        ]
        most = []
        for checkout in checkouts.values():
            found = asyncio.run(
                against(texts, lambda config, checkout=checkout: read(checkout, "server", HOSTILE, None, config))  # type: ignore[misc]
            )
            most.append(f"{found['most'] // 1024}, {found['rest'] // 1024} at rest")
        rows.append([shape, *most])
    show(f"MB of a process that lists and watches {HOSTILE} hostile TaskRuns, at most", ["", *checkouts], rows)


if __name__ == "__main__":
    main()
