"""FlowRuns of a small API server: a dict of objects, and a log of changes for watches.

Status is a subresource; a PATCH or DELETE that names another uid or resourceVersion is refused, as a real server does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from podtask.core.api.names import FLOW_RUN_PLURAL, GROUP, VERSION

Object = dict[str, Any]
FLOW_RUNS = re.compile(rf"/apis/{GROUP}/{VERSION}(?:/namespaces/([^/]+))?/{FLOW_RUN_PLURAL}(?:/([^/]+))?(/status)?$")


class Refuse(Exception):
    """An answer of 400 or more."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
        self.status = status


class FlowRuns:
    """All of them, in all namespaces."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.log: list[tuple[int, str, Object]] = []
        self.version = 1000
        self._uids = 0

    def add(self, *objects: Object) -> None:
        """Objects with their metadata as the test made it."""
        for obj in objects:
            self.objects[obj["metadata"]["namespace"], obj["metadata"]["name"]] = obj

    def one(self) -> Object:
        """The only one there is."""
        (found,) = self.objects.values()
        return found

    def change(self, name: str, patch: Object) -> None:
        """Somebody changes it."""
        (key,) = [key for key in self.objects if key[1] == name]
        self._stored(key, "MODIFIED", merged(self.objects[key], patch))

    def remove(self, name: str) -> None:
        """Somebody deletes it."""
        (key,) = [key for key in self.objects if key[1] == name]
        self._stored(key, "DELETED", self.objects.pop(key))

    def answer(self, method: str, path: re.Match[str], query: Mapping[str, str], body: Object | None) -> Any:
        """What the server says; a list: the events of a watch."""
        namespace, name = path[1] or "", path[2]
        if method == "POST":
            assert body is not None
            return self._create(namespace, body)
        if name is None and query.get("watch"):
            since = int(query["resourceVersion"])
            return [
                {"type": kind, "object": obj}
                for version, kind, obj in self.log
                if version > since and _selected(obj, query) and obj["metadata"]["namespace"] == namespace
            ]
        if name is None:
            return self._many(method, namespace, query)
        key = (namespace, name)
        if key not in self.objects:
            raise Refuse(404, "NotFound", f'{FLOW_RUN_PLURAL}.{GROUP} "{name}" not found')
        if method == "GET":
            return self.objects[key]
        if method == "DELETE":
            self._same(key, (body or {}).get("preconditions") or {})
            return self._stored(key, "DELETED", self.objects.pop(key))
        assert body is not None
        self._same(key, body.get("metadata") or {})
        part = "status" if path[3] else "spec"
        return self._stored(key, "MODIFIED", merged(self.objects[key], {part: body.get(part) or {}}))

    def _many(self, method: str, namespace: str, query: Mapping[str, str]) -> Object:
        found = [obj for key, obj in self.objects.items() if namespace in ("", key[0]) and _selected(obj, query)]
        if method == "DELETE":
            for obj in found:
                self._stored((namespace, obj["metadata"]["name"]), "DELETED", obj)
                del self.objects[namespace, obj["metadata"]["name"]]
        return {"items": found, "metadata": {"resourceVersion": str(self.version)}}

    def _create(self, namespace: str, body: Object) -> Object:
        key = (namespace, body["metadata"]["name"])
        if key in self.objects:
            raise Refuse(409, "AlreadyExists", f'{FLOW_RUN_PLURAL}.{GROUP} "{key[1]}" already exists')
        self._uids += 1
        made = {"namespace": namespace, "uid": f"uid-{self._uids}", "creationTimestamp": "2026-01-02T03:04:05Z"}
        obj = {**body, "metadata": {**body["metadata"], **made}, "status": {"state": "Running"}}
        return self._stored(key, "ADDED", obj)

    def _same(self, key: tuple[str, str], condition: Mapping[str, Any]) -> None:
        meta = self.objects[key]["metadata"]
        for name in ("uid", "resourceVersion"):
            if condition.get(name) not in (None, meta[name]):
                raise Refuse(409, "Conflict", f"{name} is {meta[name]}, not {condition[name]}")

    def _stored(self, key: tuple[str, str], kind: str, obj: Object) -> Object:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        if kind != "DELETED":
            self.objects[key] = obj
        self.log.append((self.version, kind, obj))
        return obj


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new


def _selected(obj: Object, query: Mapping[str, str]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    wanted = [part.split("=") for part in (query.get("labelSelector") or "").split(",") if part]
    fields = dict(part.split("=") for part in (query.get("fieldSelector") or "").split(",") if part)
    has = {"metadata.name": obj["metadata"]["name"], "status.state": (obj.get("status") or {}).get("state")}
    return all(labels.get(name) == value for name, value in wanted) and all(
        has[name] == value for name, value in fields.items()
    )
