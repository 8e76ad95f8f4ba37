"""A FlowRun as commands read it. Pure. A driver wrote all of it, so its texts are cleaned for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podtask.core.api.names import CONDITION_DRIVER_LOST, FLOW_RUN_KIND, FLOW_RUN_PLURAL, GROUP, FlowState
from podtask.inspection import seen
from podtask.inspection.durations import short
from podtask.inspection.seen import SeenObject, moment

KIND_PREFIX = f"{FLOW_RUN_KIND.lower()}.{GROUP}/"
PREFIXES = (KIND_PREFIX, f"{FLOW_RUN_PLURAL}.{GROUP}/", "flowrun/", "flowruns/", "pfr/", "flow/", "flows/")
SHORT_SECONDS = 10.0
"""What took less is shown with parts of a second, which the status does not have."""


@dataclass(frozen=True)
class SeenFlow(SeenObject):
    """One FlowRun; its name is the id of the flow run."""

    @property
    def status(self) -> Mapping[str, Any]:
        """`status`, as it is."""
        return self.raw

    @property
    def flow(self) -> str:
        """The flow's name."""
        return clean(self.spec.get("flow"))

    @property
    def title(self) -> str:
        """The run's name for people."""
        return clean(self.spec.get("title") or self.name)

    @property
    def tags(self) -> list[str]:
        """`spec.tags`."""
        return [clean(tag) for tag in self.spec.get("tags") or ()]

    @property
    def parent(self) -> str:
        """Name of the FlowRun around it, or ""."""
        return str((self.spec.get("parent") or {}).get("name") or "")

    @property
    def word(self) -> str:
        """The state as the driver wrote it."""
        return clean(self.status.get("state") or FlowState.RUNNING.value)

    @property
    def finished(self) -> bool:
        """True at every end."""
        return self.word != FlowState.RUNNING.value

    @property
    def lost(self) -> str | None:
        """What the operator says about a driver that gives no sign of life."""
        for one in self.status.get("conditions") or ():
            if one.get("type") == CONDITION_DRIVER_LOST and one.get("status") == "True":
                return clean(one.get("message"))
        return None

    @property
    def took(self) -> str:
        """How long it took, with parts of a second where it was short; "" before its end."""
        began, ended = self.at("startedAt"), self.at("finishedAt")
        took = (ended - began).total_seconds() if began and ended else 0.0
        return short(took) if 0 < took < SHORT_SECONDS else clean(self.status.get("duration"))

    @property
    def driver(self) -> Mapping[str, Any]:
        """The driver that writes the status now."""
        return self.status.get("driver") or self.spec.get("driver") or {}

    def at(self, name: str) -> datetime | None:
        """A time of the status; one that cannot be read is none."""
        try:
            return moment(str(self.status[name]))
        except (KeyError, ValueError):
            return None


def clean(text: Any) -> str:
    """Text of a tenant's in one line of a terminal: what is not printable is shown by its number."""
    return "".join(sign if sign.isprintable() else _number(sign) for sign in str(text or ""))


def _number(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def is_flow(name: str) -> bool:
    """Whether a name on the command line is that of a flow run."""
    return name.startswith(PREFIXES)


def bare(name: str) -> str:
    """The name without its kind."""
    return seen.bare(name, PREFIXES)
