"""What every object of podtask's has, as it was read: TaskRuns (`task_run`), FlowRuns (`podtask.cli.flows`). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class SeenObject:
    """One object as the API server, or a file of this machine, had it at one moment."""

    obj: Mapping[str, Any]

    @property
    def meta(self) -> Mapping[str, Any]:
        """`metadata`."""
        found: Mapping[str, Any] = self.obj["metadata"]
        return found

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str(self.meta["name"])

    @property
    def namespace(self) -> str:
        """`metadata.namespace`, "" for what is of this machine."""
        return str(self.meta.get("namespace") or "")

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return str(self.meta.get("uid") or self.name)

    @property
    def labels(self) -> Mapping[str, str]:
        """`metadata.labels`."""
        return self.meta.get("labels") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """`spec`, as it is."""
        return self.obj.get("spec") or {}

    @property
    def raw(self) -> Mapping[str, Any]:
        """`status`, as it is."""
        return self.obj.get("status") or {}

    @cached_property
    def created_at(self) -> datetime:
        """`metadata.creationTimestamp`."""
        return moment(str(self.meta["creationTimestamp"]))


def moment(text: str) -> datetime:
    """A time as the API server writes it (RFC 3339). Python 3.10 reads a fraction of three or six digits only."""
    text = re.sub(r"\.(\d{1,6})\d*", lambda match: f".{match[1]:0<6}", text, count=1)
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def bare(name: str, prefixes: tuple[str, ...]) -> str:
    """The name without its kind: `ptr/hello` is `hello`."""
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)
