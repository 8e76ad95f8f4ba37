"""A small Kubernetes API server of this process: objects in dicts, spoken to by the real client over HTTP.

As much of it as the command uses: TaskRuns (get, list, watch, create, patch, delete, selectors), FlowRuns (see
`flow_run_server`), pods and their logs, Events, ConfigMaps. What it refuses is said by the test.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.sdk.cli.flow_run_server import FLOW_RUNS, FlowRuns, Refuse

from podtask.core.api.names import GROUP, PLURAL, VERSION

Object = dict[str, Any]
RUNS = re.compile(rf"/apis/{GROUP}/{VERSION}(?:/namespaces/([^/]+))?/{PLURAL}(?:/([^/]+))?$")
POD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+?)(/log)?$")
EVENTS = re.compile(r"/api/v1/namespaces/([^/]+)/events$")
NAMESPACE = re.compile(r"/api/v1/namespaces/([^/]+)$")
CONFIG_MAP = re.compile(r"/api/v1/namespaces/([^/]+)/configmaps/([^/]+)$")


def namespace(name: str, uid: str) -> Object:
    """As the API server has it."""
    return {"kind": "Namespace", "metadata": {"name": name, "uid": uid}}


class Cluster:
    """What there is. Tests fill it, and look at what was asked."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], Object] = {}
        self.pods: dict[tuple[str, str], Object] = {}
        self.logs: dict[str, str] = {}
        """Pod -> lines behind their times; an absent one has not started."""
        self.events: list[Object] = []
        self.namespaces: dict[str, Object] = {"team": namespace("team", "uid-of-team")}
        self.config_maps: dict[tuple[str, str], Object] = {}
        self.news: list[tuple[str, Object]] = []
        """What the next watch brings."""
        self.after_news: Refuse | None = None
        """The answer to a watch when there are no more news."""
        self.then: Callable[[], object] | None = None
        """Called once, after the next watch."""
        self.asked: list[tuple[str, str, Any]] = []
        self.refuse: dict[str, Refuse] = {}
        """"VERB resource" -> answer instead of the right one."""
        self.other: dict[str, Callable[[Object | None], Object]] = {}
        """Path -> answer to whatever else is asked."""
        self.flow_runs = FlowRuns()
        self.operator: Callable[[Object], Object | None] = lambda _: None
        """What becomes of a TaskRun that is posted: its status, at once."""
        self.version = 100
        self.listed = 0
        """Whole TaskRuns that lists had."""
        self.date: str | None = None
        """What its clock says."""

    def add(self, *objects: Object) -> None:
        """TaskRuns."""
        for obj in objects:
            self.runs[obj["metadata"]["namespace"], obj["metadata"]["name"]] = obj

    def written(self) -> list[tuple[str, str, Any]]:
        """Requests that change something."""
        return [one for one in self.asked if one[0] != "GET"]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.cluster.asked.append((self.command, parts.path, body))
        try:
            self._answer(parts.path, body)
        except Refuse as no:
            self._say(no.body, no.status)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    @property
    def cluster(self) -> Cluster:
        held: Cluster = self.server.cluster  # type: ignore[attr-defined]
        return held

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.cluster.date or super().date_time_string(timestamp)

    def log_message(self, *args: Any) -> None:
        """Not on stderr."""

    def _answer(self, path: str, body: Object | None) -> None:
        if path in self.cluster.other:
            self._say(self.cluster.other[path](body))
        elif found := RUNS.fullmatch(path):
            self._runs(found[1] or "", found[2], body)
        elif found := FLOW_RUNS.fullmatch(path):
            if refusal := self.cluster.refuse.get(f"{self.command} flowruns"):
                raise refusal
            answer = self.cluster.flow_runs.answer(self.command, found, self.query, body)
            self._stream(answer) if isinstance(answer, list) else self._say(answer)
        elif found := POD.fullmatch(path):
            self._pod(found[1], found[2], wants_log=bool(found[3]))
        elif found := EVENTS.fullmatch(path):
            uid = self.query["fieldSelector"].removeprefix("involvedObject.uid=")
            self._say({"items": [one for one in self.cluster.events if one["involvedObject"]["uid"] == uid]})
        elif found := NAMESPACE.fullmatch(path):
            self._found(self.cluster.namespaces.get(found[1]), "namespaces", found[1])
        elif found := CONFIG_MAP.fullmatch(path):
            self._found(self.cluster.config_maps.get((found[1], found[2])), "configmaps", found[2])
        else:
            raise Refuse(404, "NotFound", "the server could not find the requested resource")

    def _runs(self, namespace: str, name: str | None, body: Object | None) -> None:
        verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(self.command, "get" if name else "list")
        if refusal := self.cluster.refuse.get(f"{verb} {PLURAL}"):
            raise refusal
        runs = self.cluster.runs
        if self.command == "POST":
            assert body is not None
            meta = {**body["metadata"], "namespace": namespace}
            meta.setdefault("name", f"{meta.get('generateName', '')}x7k2p")
            if (namespace, meta["name"]) in runs:
                raise Refuse(409, "AlreadyExists", f'{PLURAL}.{GROUP} "{meta["name"]}" already exists')
            made = {"uid": f"uid-{meta['name']}", "creationTimestamp": "2026-01-02T03:04:05Z", "resourceVersion": "101"}
            obj = {**body, "metadata": {**meta, **made}}
            self.cluster.add(obj)
            if (status := self.cluster.operator(obj)) is not None:
                obj["status"] = status
            self._say(runs[namespace, meta["name"]], 201)
        elif name is None and self.command == "DELETE":
            for key in [key for key, obj in runs.items() if key[0] == namespace and self._takes(obj)]:
                del runs[key]
            self._say({"items": []})
        elif name is None:
            self._watch(namespace) if self.query.get("watch") else self._list(namespace)
        else:
            obj = runs.get((namespace, name))
            if obj is not None and self.command == "PATCH":
                assert body is not None
                obj["spec"].update(body["spec"])
            if obj is not None and self.command == "DELETE":
                del runs[namespace, name]
            self._found(obj, f"{PLURAL}.{GROUP}", name)

    def _list(self, namespace: str) -> None:
        items = [obj for (where, _), obj in self.cluster.runs.items() if namespace in ("", where) and self._takes(obj)]
        if "as=PartialObjectMetadataList" in self.headers["Accept"]:
            # null where there is none, as the real one says
            found: list[Object] | None = [{"metadata": obj["metadata"]} for obj in items] or None
        else:
            self.cluster.listed += len(items)
            found = items
        self._say({"items": found, "metadata": {"resourceVersion": str(self.cluster.version)}})

    def _takes(self, obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        wanted = [part.split("=") for part in re.split(r",(?![^(]*\))", self.query.get("labelSelector") or "") if part]
        there = [part[0] for part in wanted if len(part) == 1 and " " not in part[0]]
        sets = [re.fullmatch(r"(\S+) in \((.*)\)", part[0]) for part in wanted if len(part) == 1 and " " in part[0]]
        if not set(there) <= labels.keys():
            return False
        wanted = [part for part in wanted if len(part) == 2]
        if not all(found and labels.get(found[1]) in found[2].split(",") for found in sets):
            return False
        fields = dict(part.split("=") for part in (self.query.get("fieldSelector") or "").split(",") if part)
        has = {"metadata.name": obj["metadata"]["name"], "status.state": (obj.get("status") or {}).get("state")}
        return all(labels.get(name) == value for name, value in wanted) and all(
            has[name] == value for name, value in fields.items()
        )

    def _watch(self, namespace: str) -> None:
        """What there is to tell, once; then the connection ends, as watches do."""
        if not self.cluster.news and self.cluster.after_news is not None:
            raise self.cluster.after_news
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        news, self.cluster.news = self.cluster.news, []
        for kind, obj in news:
            self.cluster.version += 1
            obj["metadata"]["resourceVersion"] = str(self.cluster.version)
            if kind == "DELETED":
                self.cluster.runs.pop((obj["metadata"]["namespace"], obj["metadata"]["name"]), None)
            else:
                self.cluster.add(obj)
            self._chunk(json.dumps({"type": kind, "object": obj}).encode() + b"\n")
        if news and self.cluster.then is not None:
            self.cluster.then()
        self._chunk(b"")

    def _stream(self, events: list[Object]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            self._chunk(json.dumps(event).encode() + b"\n")
        self._chunk(b"")

    def _pod(self, namespace: str, name: str, *, wants_log: bool) -> None:
        if not wants_log:
            pod = self.cluster.pods.get((namespace, name))
            owner = {"controller": True, "uid": f"uid-{name.rpartition('-')[0]}"}  # unless the test says another
            self._found(None if pod is None else {"metadata": {"ownerReferences": [owner]}, **pod}, "pods", name)
            return
        if (namespace, name) not in self.cluster.pods:
            raise Refuse(404, "NotFound", f'pods "{name}" not found')
        if name not in self.cluster.logs:
            raise Refuse(400, "BadRequest", f'container "task" in pod "{name}" is waiting to start: ContainerCreating')
        lines = self.cluster.logs[name].splitlines(keepends=True)
        count = self.query.get("tailLines")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines[-int(count) :] if count else lines:
            self._chunk(line.encode())
        self._chunk(b"")

    def _found(self, obj: Object | None, resource: str, name: str) -> None:
        if obj is None:
            raise Refuse(404, "NotFound", f'{resource} "{name}" not found')
        self._say(obj)

    def _say(self, body: Object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


class Server(ThreadingHTTPServer):
    """One that finds nothing in a client that is gone: drivers are killed here."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """The address of a server for this cluster."""
    server = Server(("127.0.0.1", 0), Handler)
    server.cluster = cluster  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
