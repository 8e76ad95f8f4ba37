"""The API server of the command's tests, and what a page needs more: lasting watches, Tables, FlowRuns, reviews.

A watch is answered from the history behind its resourceVersion and stays open; `put` and `drop` add to the history.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.unit.sdk.cli.apiserver import Cluster, Handler, Refuse, Server

from podtask.core.api.names import FLOW_RUN_PLURAL, GROUP, PLURAL, VERSION

Object = dict[str, Any]
FLOW_RUNS = re.compile(rf"/apis/{GROUP}/{VERSION}/namespaces/([^/]+)/{FLOW_RUN_PLURAL}(?:/([^/]+))?$")
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
COLUMNS = ("Name", "State", "Attempt", "Cache", "Reason", "Node", "Duration", "Task", "FlowRun", "Age")


class LiveCluster(Cluster):
    """What there is, and what happened to it."""

    def __init__(self) -> None:
        super().__init__()
        self.flow_runs: dict[tuple[str, str], Object] | None = {}
        """None: the CRD is missing."""
        self.history: list[tuple[int, str, str, Object]] = []
        self.oldest = 0
        """Watches from before this version are refused: 410."""
        self.changed = threading.Condition()
        self.closing = False
        self.allowed = {(verb, kind) for verb in ("patch", "create", "delete") for kind in (PLURAL, FLOW_RUN_PLURAL)}
        self.watches: list[str] = []
        self.people: dict[str, set[str]] = {}
        """Token -> namespaces that it may see; empty: nobody is asked for a token."""
        self.headers: list[dict[str, str]] = []

    def put(self, *objects: Object) -> None:
        """TaskRuns and FlowRuns, made or changed."""
        for obj in objects:
            self.happened("ADDED" if self.kept(obj).get(_key(obj)) is None else "MODIFIED", obj)

    def drop(self, obj: Object) -> None:
        """Delete one."""
        self.happened("DELETED", obj)

    def happened(self, kind: str, obj: Object) -> None:
        """Write it into the history, and wake up all watches."""
        with self.changed:
            self.version += 1
            obj["metadata"]["resourceVersion"] = str(self.version)
            if kind == "DELETED":
                self.kept(obj).pop(_key(obj), None)
            else:
                self.kept(obj)[_key(obj)] = obj
            resource = FLOW_RUN_PLURAL if obj.get("kind") == "FlowRun" else PLURAL
            self.history.append((self.version, kind, resource, json.loads(json.dumps(obj))))
            self.changed.notify_all()

    def forget(self, *objects: Object) -> None:
        """These are made while nobody sees it: all watches end, and none can go on from where it was."""
        with self.changed:
            for obj in objects:
                self.version += 1
                self.kept(obj)[_key(obj)] = obj
            self.oldest = self.version
            self.changed.notify_all()

    def kept(self, obj: Object) -> dict[tuple[str, str], Object]:
        """Where objects of its kind are."""
        if obj.get("kind") == "FlowRun":
            assert self.flow_runs is not None
            return self.flow_runs
        return self.runs


class LiveHandler(Handler):
    """One request."""

    @property
    def cluster(self) -> LiveCluster:
        held: LiveCluster = self.server.cluster  # type: ignore[attr-defined]
        return held

    def _answer(self, path: str, body: Object | None) -> None:
        self.cluster.headers.append({name.lower(): value for name, value in self.headers.items()})
        self._known(path)
        if path in self.cluster.other:
            super()._answer(path, body)
        elif path == REVIEW:
            assert body is not None
            wanted = body["spec"]["resourceAttributes"]
            kind = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
            self._say({"status": {"allowed": (wanted["verb"], kind) in self.cluster.allowed}}, 201)
        elif found := FLOW_RUNS.fullmatch(path):
            self._flow_runs(found[1], found[2], body)
        else:
            super()._answer(path, body)

    def _known(self, path: str) -> None:
        """Whether whoever asks is somebody, and may see this namespace."""
        if not self.cluster.people:
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.cluster.people:
            raise Refuse(401, "Unauthorized", "Unauthorized")
        namespace = re.search(r"/namespaces/([^/]+)", path)
        if namespace is not None and namespace[1] not in self.cluster.people[token]:
            raise Refuse(403, "Forbidden", f'cannot get in the namespace "{namespace[1]}"')

    def _flow_runs(self, namespace: str, name: str | None, body: Object | None) -> None:
        kept = self.cluster.flow_runs
        if kept is None:
            raise Refuse(404, "NotFound", "the server could not find the requested resource")
        if refusal := self.cluster.refuse.get(f"{self.command} {FLOW_RUN_PLURAL}"):
            raise refusal
        if name is None:
            if self.query.get("watch"):
                self._follow(namespace, FLOW_RUN_PLURAL)
            else:
                self._listed([one for (where, _), one in kept.items() if where == namespace and self._takes(one)])
            return
        obj = kept.get((namespace, name))
        if obj is not None and self.command == "PATCH":
            assert body is not None
            obj["spec"].update(body["spec"])
            self.cluster.put(obj)
        if obj is not None and self.command == "DELETE":
            self.cluster.drop(obj)
        self._found(obj, f"{FLOW_RUN_PLURAL}.{GROUP}", name)

    def _runs(self, namespace: str, name: str | None, body: Object | None) -> None:
        super()._runs(namespace, name, body)
        obj = self.cluster.runs.get((namespace, name or ""))
        if self.command == "PATCH" and obj is not None:
            self.cluster.put(obj)

    def _list(self, namespace: str) -> None:
        runs = list(self.cluster.runs.items())
        self._listed([obj for (where, _), obj in runs if namespace in ("", where) and self._takes(obj)])

    def _listed(self, items: list[Object]) -> None:
        """A page of it."""
        start, limit = int(self.query.get("continue") or 0), int(self.query.get("limit") or 0) or len(items)
        meta = {"resourceVersion": str(self.cluster.version)}
        if start + limit < len(items):
            meta["continue"] = str(start + limit)
        part = items[start : start + limit]
        if self._wants_table:
            self._say({"kind": "Table", "metadata": meta, **_table(part)})
        else:
            self._say({"items": part, "metadata": meta})

    @property
    def _wants_table(self) -> bool:
        return "as=Table" in self.headers.get("Accept", "")

    def _watch(self, namespace: str) -> None:
        self._follow(namespace, PLURAL)

    def _follow(self, namespace: str, resource: str) -> None:
        cluster, at = self.cluster, int(self.query.get("resourceVersion") or 0)
        if refusal := cluster.refuse.get(f"watch {resource}"):
            raise refusal
        if at < cluster.oldest:
            raise Refuse(410, "Expired", f"too old resource version: {at}")
        cluster.watches.append(self.path)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        ends, first = time.monotonic() + float(self.query.get("timeoutSeconds") or 60), True
        while time.monotonic() < ends and not cluster.closing and f"watch {resource}" not in cluster.refuse:
            if at < cluster.oldest:
                break
            with cluster.changed:
                news = [one for one in cluster.history if one[0] > at]
                if not news:
                    cluster.changed.wait(0.5)
                    continue
            for at, kind, of, obj in news:  # noqa: B007 - the place in the history
                if of == resource and obj["metadata"]["namespace"] == namespace and self._takes(obj):
                    self._chunk(json.dumps({"type": kind, "object": self._told(obj, first=first)}).encode() + b"\n")
                    first = False
        self._chunk(b"")

    def _told(self, obj: Object, *, first: bool) -> Object:
        if not self._wants_table:
            return obj
        table = _table([obj])
        if not first:
            table["columnDefinitions"] = None
        return {"kind": "Table", "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]}, **table}


def _table(items: list[Object]) -> Object:
    rows = []
    for obj in items:
        status, labels = obj.get("status") or {}, obj["metadata"].get("labels") or {}
        attempts = status.get("attempts") or [{}]
        cells = [
            obj["metadata"]["name"],
            status.get("state"),
            status.get("attempt"),
            (status.get("cache") or {}).get("outcome"),
            status.get("reason"),
            attempts[-1].get("node"),
            status.get("duration"),
            (obj.get("spec") or {}).get("task", {}).get("name"),
            labels.get("podtask.dev/flow-run"),
            "5m",
        ]
        rows.append({"cells": cells, "object": {"kind": "PartialObjectMetadata", "metadata": obj["metadata"]}})
    return {"columnDefinitions": [{"name": name, "type": "string"} for name in COLUMNS], "rows": rows}


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


@contextmanager
def serving(cluster: LiveCluster) -> Iterator[str]:
    """The address of a server for this cluster."""
    server = Server(("127.0.0.1", 0), LiveHandler)
    server.cluster = cluster  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        cluster.closing = True
        with cluster.changed:
            cluster.changed.notify_all()
        server.shutdown()
        thread.join()
        server.server_close()
