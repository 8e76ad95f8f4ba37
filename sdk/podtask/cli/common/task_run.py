"""A TaskRun as commands read it: identity, what was asked (spec, as it is), what is known (`Status`). Pure.

Before: `cluster` (plain objects). Next on the road: `selection`, `printers`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from podtask.core.api.names import GROUP, LABEL_FLOW, LABEL_FLOW_RUN, PLURAL, State
from podtask.core.api.status import Attempt, Status

KIND_PREFIX = f"taskrun.{GROUP}/"
"""Before a name, as `-o name` and kubectl print it."""
PREFIXES = (KIND_PREFIX, f"{PLURAL}.{GROUP}/", "taskrun/", "taskruns/", "ptr/")


@dataclass(frozen=True)
class Seen:
    """One TaskRun as the API server had it at one moment."""

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
        """`metadata.namespace`."""
        return str(self.meta["namespace"])

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return str(self.meta["uid"])

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
        """`status`, as it is: for what is derived there."""
        return self.obj.get("status") or {}

    @cached_property
    def status(self) -> Status:
        """`status`, read leniently."""
        from podtask.kube.status_json import read

        return read(self.obj)

    @cached_property
    def created_at(self) -> datetime:
        """`metadata.creationTimestamp`."""
        return moment(str(self.meta["creationTimestamp"]))

    @property
    def task(self) -> str:
        """The task's display name."""
        return str((self.spec.get("task") or {}).get("name") or self.name)

    @property
    def tags(self) -> list[str]:
        """`spec.tags`."""
        return list(self.spec.get("tags") or ())

    @property
    def flow(self) -> str:
        """The flow's name, "" outside of any."""
        return self.labels.get(LABEL_FLOW, "")

    @property
    def flow_run(self) -> str:
        """The flow run's id, "" outside of any."""
        return self.labels.get(LABEL_FLOW_RUN, "")

    @property
    def state(self) -> State:
        """The state, in one word; `Pending` before anybody looked at it."""
        return self.status.state

    @property
    def word(self) -> str:
        """The state as the operator wrote it."""
        return str(self.raw.get("state") or State.PENDING)

    @property
    def finished(self) -> bool:
        """True at every end."""
        return self.status.finished

    def attempt(self, number: int) -> Attempt | None:
        """An attempt by its number, if the status still has it."""
        return next((each for each in self.status.attempts if each.number == number), None)


def moment(text: str) -> datetime:
    """A time as the API server writes it (RFC 3339). Python 3.10 reads a fraction of three or six digits only."""
    text = re.sub(r"\.(\d{1,6})\d*", lambda match: f".{match[1]:0<6}", text, count=1)
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def newest_first(runs: list[Seen]) -> list[Seen]:
    """By creation, which is told to the second; then by name."""
    return sorted(sorted(runs, key=lambda run: run.name), key=lambda run: run.created_at, reverse=True)


def bare(name: str) -> str:
    """The name without its kind: `ptr/hello` is `hello`."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
