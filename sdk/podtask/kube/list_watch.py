"""Objects of one kind in one namespace, as lists in pages and as a watch; whole, or as rows of a Table.

A Table carries what `kubectl get` shows, so that a list of TaskRuns costs no payloads. A row is made an object with
`metadata` and `cells` by the name of the column.
Below: `podtask.kube.client`. Asked by: `reflector`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podtask.core.api.names import GROUP, PLURAL, VERSION
from podtask.kube.client import PAGE, Api, Object, lines
from podtask.kube.errors import Asked, refused

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True)
class ListWatch:
    """What is asked for: a `podtask.kube.lister_watcher.ListerWatcher`."""

    api: Api = field(compare=False)
    namespace: str
    resource: str = PLURAL
    selector: str = ""
    fields: str = ""
    table: bool = False

    def pages(self) -> Iterator[tuple[list[Object], str]]:
        """Pages of the list, each with the version to watch from."""
        query, columns = self._query(), list[str]()
        while True:
            answer = self.api.ask(self._asked("list"), "GET", self._path, query, accept=self._accept)
            meta = answer.get("metadata") or {}
            if self.table:
                columns = _columns(answer) or columns
                items = _rows(answer, columns)
            else:
                items = answer.get("items") or []
            yield items, str(meta.get("resourceVersion") or "")
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    def changes(self, version: str, seconds: int) -> Iterator[tuple[str, Object, str]]:
        """Kind of the change, the object, and the version after it, for at most `seconds`."""
        query = {
            **self._query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        asked, columns = self._asked("watch"), list[str]()
        with self.api.asking(
            asked, "GET", self._path, query, accept=self._accept, read_seconds=seconds + 10.0
        ) as answer:
            for line in lines(answer):
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
        place = f"namespaces/{self.namespace}/" if self.namespace else ""
        return f"/apis/{GROUP}/{VERSION}/{place}{self.resource}"

    @property
    def _accept(self) -> str:
        return TABLE if self.table else "application/json"

    def _query(self) -> dict[str, str]:
        query = {"limit": str(PAGE), "labelSelector": self.selector, "fieldSelector": self.fields}
        return {name: value for name, value in query.items() if value}

    def _asked(self, verb: str) -> Asked:
        return Asked(verb, self.resource, self.namespace)


def _columns(table: Mapping[str, Any]) -> list[str]:
    """Told in a list's first page and in a watch's first event only."""
    return [str(one.get("name")) for one in table.get("columnDefinitions") or ()]


def _rows(table: Mapping[str, Any], columns: Sequence[str]) -> list[Object]:
    return [
        {"metadata": row["object"]["metadata"], "cells": dict(zip(columns, row.get("cells") or (), strict=False))}
        for row in table.get("rows") or ()
    ]
