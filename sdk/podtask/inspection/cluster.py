"""What commands ask of the cluster: TaskRuns, their pods, Events and logs. One method per question, no decisions.

Below: `podtask.kube.client` (requests, refusals as sentences). Asked by: every command.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from podtask.core.api.names import PLURAL, POD_CONTAINER
from podtask.core.api.url_path import url_path
from podtask.inspection.log_lines import Line, cut
from podtask.inspection.without_payloads import without_payloads
from podtask.kube.client import MERGE_PATCH, Api, Object, core_path, runs_path, utc
from podtask.kube.errors import Asked, Busy, ClusterRefused, ClusterUnreachable
from podtask.kube.list_watch import ONLY_METADATA, ListWatch
from podtask.kube.resumable_watch import BOOKMARK, GONE, Change, Listed, ResumableWatch

WATCH_SECONDS = 300
QUIET_SECONDS = 60.0
"""A log that says nothing so long is asked for again: the connection may be dead."""
PAUSE_SECONDS = 1.0
PATIENCE = 60
"""Tries in a row to reach an API server that was there before."""


class Cluster:
    """One cluster, and the namespace that names belong to."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def run(self, name: str, namespace: str | None = None) -> Object | None:
        """A TaskRun, or None."""
        return self.api.get_run(namespace or self.namespace, name)

    def runs(
        self, namespace: str, selector: str = "", fields: str = "", *, plural: str = PLURAL
    ) -> tuple[list[Object], str]:
        """TaskRuns, or FlowRuns, in a namespace ("": in all), and the version to watch from."""
        return ListWatch(self.api, namespace, plural, selector, fields).all()

    def runs_without_payloads(self, namespace: str, selector: str = "", fields: str = "") -> tuple[list[Object], str]:
        """As `runs`, where nobody asks for code and arguments."""
        return ListWatch(self.api, namespace, PLURAL, selector, fields).all(without_payloads)

    def metadata_of_runs(self, namespace: str) -> list[Object]:
        """Names and times of all TaskRuns of a namespace."""
        return ListWatch(self.api, namespace, form=ONLY_METADATA).all()[0]

    def changes(
        self,
        namespace: str,
        selector: str,
        version: str,
        fields: str = "",
        seconds: float | None = None,
        objects: Iterable[Mapping[str, Any]] = (),
        *,
        plural: str = PLURAL,
    ) -> Iterator[Object]:
        """Watch events, over ended connections, for ever or so many seconds.

        After a gap every TaskRun that is there comes as ADDED, and what is gone of `objects`, and of what came since,
        as DELETED.
        """
        keep = _kept(plural)
        latest = {one["metadata"]["uid"]: keep(dict(one)) for one in objects}
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        watch = ResumableWatch(ListWatch(self.api, namespace, plural, selector, fields), version)
        for step in watch.follow(lambda: min(WATCH_SECONDS, deadline - time.monotonic()), _pause_after):
            match step:
                case Listed(items):
                    before, latest = latest, {item["metadata"]["uid"]: keep(item) for item in items}
                    gone = [before[uid] for uid in before.keys() - latest.keys()]
                    yield from ({"type": "DELETED", "object": one} for one in gone)
                    yield from ({"type": "ADDED", "object": item} for item in items)
                case Change(kind, obj) if kind != BOOKMARK:
                    latest[obj["metadata"]["uid"]] = keep(obj)
                    if kind == "DELETED":
                        del latest[obj["metadata"]["uid"]]
                    yield {"type": kind, "object": obj}

    def create(self, obj: Object, namespace: str) -> Object:
        """POST a TaskRun. Raises `ClusterRefused`."""
        query = {"fieldValidation": "Strict"}
        asked = Asked("create", PLURAL, namespace, obj["metadata"].get("name", ""))
        return self.api.ask(asked, "POST", runs_path(namespace), query, obj)

    def change(self, namespace: str, name: str, **spec: Any) -> Object:
        """Patch fields of a TaskRun's spec."""
        asked = Asked("patch", PLURAL, namespace, name)
        return self.api.ask(asked, "PATCH", runs_path(namespace, name), {}, {"spec": spec}, content=MERGE_PATCH)

    def remove(self, namespace: str, name: str) -> None:
        """DELETE a TaskRun; its pods follow."""
        asked = Asked("delete", PLURAL, namespace, name)
        self.api.ask(asked, "DELETE", runs_path(namespace, name), {"propagationPolicy": "Background"})

    def remove_all(self, namespace: str, selector: str, *, plural: str = PLURAL) -> None:
        """DELETE all TaskRuns, or FlowRuns, with these labels, in one request."""
        query = {"labelSelector": selector, "propagationPolicy": "Background"}
        self.api.ask(Asked("deletecollection", plural, namespace), "DELETE", runs_path(namespace, plural=plural), query)

    def pod(self, namespace: str, name: str) -> Object | None:
        """A pod, or None."""
        asked = Asked("get", "pods", namespace, name)
        return self.api.get_or_none(asked, core_path(namespace, "pods", name))

    def namespace_uid(self, namespace: str) -> str:
        """What tells the namespace from every other one of its name. Raises `ClusterRefused`, also where none is."""
        asked = Asked("get", "namespaces", namespace, namespace)
        return str(self.api.ask(asked, "GET", url_path("api", "v1", "namespaces", namespace))["metadata"]["uid"])

    def events(self, namespace: str, uid: str) -> list[Object]:
        """Events about the object with this UID."""
        asked = Asked("list", "events", namespace)
        query = {"fieldSelector": f"involvedObject.uid={uid}"}
        return list(self.api.ask(asked, "GET", core_path(namespace, "events"), query).get("items") or ())

    def log(self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None) -> Iterator[Line]:
        """Lines of the task's container as they come.

        Following goes on over broken connections, with nothing twice. Raises `ClusterRefused` (400: it has not
        started; 404: there is no such pod).
        """
        newest, shown, begun, skip = b"", b"", 0, 0  # begun: bytes that were shown of a line whose end was not
        while True:
            try:
                for when, text in self._log(namespace, pod, follow=follow, tail=None if shown else tail, since=shown):
                    if shown and when <= shown:
                        continue  # it was shown before the connection broke
                    new, skip = text[skip:], max(skip - len(text), 0)
                    if new:
                        begun += len(new)
                        yield when, new
                    if new.endswith(b"\n"):
                        newest, begun = max(newest, when), 0
                return
            except ClusterUnreachable:
                if not follow:
                    raise
                shown, skip = newest, begun
                time.sleep(PAUSE_SECONDS)

    def _log(self, namespace: str, pod: str, *, follow: bool, tail: int | None, since: bytes) -> Iterator[Line]:
        query = {"container": POD_CONTAINER, "timestamps": "true", "follow": json.dumps(follow)}
        if tail is not None:
            query["tailLines"] = str(tail)
        if since:
            query["sinceTime"] = f"{since[:19].decode()}Z"
        path = core_path(namespace, "pods", pod, "log")
        asked = Asked("get", "pods/log", namespace, pod)
        with self.api.asking(asked, "GET", path, query, read_seconds=QUIET_SECONDS) as answer:
            rest, when, begins = b"", b"", True
            for chunk in answer.stream(2**16, decode_content=True):
                *texts, rest = cut(rest + chunk)
                for text in texts:
                    when, line = _timed(text, when) if begins else (when, text)
                    begins = text.endswith(b"\n")
                    yield when, line
            if rest:
                when, line = _timed(rest, when) if begins else (when, rest)
                yield when, line + b"\n"


def _kept(plural: str) -> Callable[[Object], Object]:
    """What of an object is kept until it is gone."""
    return without_payloads if plural == PLURAL else dict


def _pause_after(error: ClusterRefused | ClusterUnreachable, failures: int) -> float:
    """The connection ended in the middle of an event, or nobody answers. Raises the error where it stays."""
    final = isinstance(error, ClusterRefused) and error.status != GONE and not isinstance(error, Busy)
    if final or failures > PATIENCE:
        raise error
    return PAUSE_SECONDS


def _timed(text: bytes, before: bytes) -> Line:
    """The time at the beginning of a line, and the rest; a line without one is of the time of the line before."""
    when, _, line = text.partition(b" ")
    moment = utc(when.decode(errors="replace"))
    return (before, text) if moment is None else (moment.encode(), line)


def event_time(event: Object) -> str:
    """When an Event happened last, as the API server writes it."""
    meta = event.get("metadata", {})
    return str(event.get("lastTimestamp") or event.get("eventTime") or meta.get("creationTimestamp") or "")
