"""Objects of one kind of podtask.dev, as a list in pages and as a watch: whole, as metadata, or as rows of a Table.

A Table carries what `kubectl get` shows, so that a list of TaskRuns costs no payloads. A row is made an object with
`metadata` and `cells` by the name of the column.
Below: `client`. Followed by: `resumable_watch`. Asked for one list by: `podtask.inspection`, `podtask.cli`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from podtask.core.api.names import PLURAL
from podtask.kube.client import Api, Object, runs_path
from podtask.kube.errors import Asked, refused

PAGE = 500
"""Objects per answer of a list."""
WHOLE: Final = "application/json"
ONLY_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True)
class ListWatch:
    """What is asked for: a `podtask.kube.lister_watcher.ListerWatcher`. Nothing is repeated."""

    api: Api = field(compare=False)
    namespace: str
    """"": all namespaces."""
    plural: str = PLURAL
    selector: str = ""
    fields: str = ""
    form: str = WHOLE

    def all(self, keep: Callable[[Object], Object] = dict) -> tuple[list[Object], str]:
        """The whole list, and the version to watch from. `keep`: what is kept of each object."""
        items, version = list[Object](), ""
        for page, version in self.pages():  # noqa: B007 - the last page's is the one
            items += map(keep, page)
        return items, version

    def pages(self) -> Iterator[tuple[list[Object], str]]:
        """Pages of the list, each with the version to watch from."""
        query, columns = {**self._query(), "limit": str(PAGE)}, list[str]()
        while True:
            answer = self.api.ask(self._asked("list"), "GET", self._path, query, accept=self.form)
            meta = answer.get("metadata") or {}
            if self.form == TABLE:
                columns = _columns(answer) or columns
                items = _rows(answer, columns)
            else:
                items = answer.get("items") or []  # null in an empty list of metadata
            yield items, str(meta.get("resourceVersion") or "")
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    def changes(self, version: str, seconds: int) -> Iterator[tuple[str, Object, str]]:
        """Type of the event, the object, and the version after it, for at most `seconds`; an ERROR event is raised."""
        query = {
            **self._query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        asked, columns = self._asked("watch"), list[str]()
        # A connection that died without a word is noticed when the server's own end is overdue.
        with self.api.asking(asked, "GET", self._path, query, accept=self.form, read_seconds=seconds + 10.0) as answer:
            for line in _lines(answer):
                event = json.loads(line)
                kind, obj = str(event.get("type")), event.get("object") or {}
                if kind == "ERROR":
                    raise refused(asked, int(obj.get("code") or 500), json.dumps(obj).encode())
                if obj.get("kind") != "Table":
                    yield kind, obj, str(obj["metadata"].get("resourceVersion") or "")
                    continue
                columns = _columns(obj) or columns
                after = str((obj.get("metadata") or {}).get("resourceVersion") or "")
                for row in _rows(obj, columns):
                    yield kind, row, str(row["metadata"].get("resourceVersion") or after)

    @property
    def _path(self) -> str:
        return runs_path(self.namespace, plural=self.plural)

    def _query(self) -> dict[str, str]:
        query = {"labelSelector": self.selector, "fieldSelector": self.fields}
        return {name: value for name, value in query.items() if value}

    def _asked(self, verb: str) -> Asked:
        return Asked(verb, self.plural, self.namespace)


def _lines(answer: Any) -> Iterator[bytes]:
    """Complete lines of a chunked answer, as soon as they are there."""
    rest = b""
    for chunk in answer.stream(2**16, decode_content=True):
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (line for line in complete if line.strip())


def _columns(table: Mapping[str, Any]) -> list[str]:
    """In a list's first page and in a watch's first event only."""
    return [str(one.get("name")) for one in table.get("columnDefinitions") or ()]


def _rows(table: Mapping[str, Any], columns: Sequence[str]) -> list[Object]:
    return [
        {"metadata": row["object"]["metadata"], "cells": dict(zip(columns, row.get("cells") or (), strict=False))}
        for row in table.get("rows") or ()
    ]
