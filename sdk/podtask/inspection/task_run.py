"""A TaskRun as commands read it: identity, what was asked (spec, as it is), what is known (`Status`). Pure.

Before: `cluster` (plain objects). Next on the road: `selection`, `cli.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from podtask.core.api.names import GROUP, LABEL_FLOW, LABEL_FLOW_RUN, PLURAL, State
from podtask.core.api.status import Attempt, Status
from podtask.inspection import seen
from podtask.inspection.seen import SeenObject

KIND_PREFIX = f"taskrun.{GROUP}/"
"""Before a name, as `-o name` and kubectl print it."""
PREFIXES = (KIND_PREFIX, f"{PLURAL}.{GROUP}/", "taskrun/", "taskruns/", "ptr/")


@dataclass(frozen=True)
class SeenTaskRun(SeenObject):
    """One TaskRun."""

    @cached_property
    def status(self) -> Status:
        """`status`, read leniently."""
        from podtask.kube.status_json import read

        return read(self.obj)

    @property
    def task(self) -> str:
        """The task's display name."""
        return str((self.spec.get("task") or {}).get("name") or self.name)

    @property
    def tags(self) -> list[str]:
        """`spec.tags`."""
        return list(self.spec.get("tags") or ())

    @property
    def upstream(self) -> list[str]:
        """Names of the TaskRuns whose results it takes."""
        return [str(up["taskRun"]) for up in self.spec.get("upstream") or ()]

    @property
    def waits_for(self) -> list[str]:
        """Names of the TaskRuns that have to end before it."""
        return [str(up["taskRun"]) for up in self.spec.get("waitFor") or ()]

    @property
    def must_complete(self) -> list[str]:
        """Names of the TaskRuns whose failure keeps it from starting."""
        named = [*(self.spec.get("upstream") or ()), *(self.spec.get("waitFor") or ())]
        return list(dict.fromkeys(str(up["taskRun"]) for up in named if up.get("allowFailure") is not True))

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


def newest_first(runs: list[SeenTaskRun]) -> list[SeenTaskRun]:
    """By creation, which is told to the second; then by name."""
    return sorted(sorted(runs, key=lambda run: run.name), key=lambda run: run.created_at, reverse=True)


def bare(name: str) -> str:
    """The name without its kind: `ptr/hello` is `hello`."""
    return seen.bare(name, PREFIXES)
