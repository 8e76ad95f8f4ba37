"""Which TaskRuns a command line means: names, @latest and -L, labels, flow runs, filters. Refusals are sentences.

Before: `session`. Next on the road: the command itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podtask.backends.kubernetes.manifest import label_value, selector
from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.session import Session, note
from podtask.core.api.names import LABEL_FLOW, State
from podtask.inspection.task_run import SeenTaskRun, bare, newest_first

LATEST = "@latest"
CANDIDATES = 10
"""Names in a sentence."""


def one(session: Session, name: str | None, *, latest: bool = False, certain: bool = False) -> SeenTaskRun:
    """The TaskRun of that name; with @latest, -L: the newest. Raises `CommandFailed` where there is none.

    The API server tells creation to the second. Of several newest one is taken, which is said; `certain`: none is.
    """
    if name is not None and name != LATEST:
        if latest:
            raise CommandFailed(f"Say '{name}' or -L, not both.", Exit.USAGE)
        return _named(session, bare(name))
    if not latest and name is None:
        raise CommandFailed("Which TaskRun? Give its name, or -L for the newest one; 'podtask list'.", Exit.USAGE)
    runs = newest_first([SeenTaskRun(item) for item in session.cluster.metadata_of_runs(session.namespace)])
    if not runs:
        raise CommandFailed(f"There are no TaskRuns in namespace '{session.namespace}' (-n).", Exit.NOT_FOUND)
    _tied([run.name for run in runs if run.created_at == runs[0].created_at], certain=certain)
    return _named(session, runs[0].name)


def _tied(names: list[str], *, certain: bool) -> None:
    """Say that several are the newest. Raises `CommandFailed` where it has to be one."""
    if len(names) == 1:
        return
    more = f" and {len(names) - CANDIDATES} more" if len(names) > CANDIDATES else ""
    candidates = f"were created in the same second: {', '.join(names[:CANDIDATES])}{more}"
    if certain:
        raise CommandFailed(f"The {len(names)} newest TaskRuns {candidates}. Say which by name.", Exit.USAGE)
    note(f"podtask: '{names[0]}' was taken; the {len(names)} newest TaskRuns {candidates}.")


@dataclass(frozen=True)
class Meant:
    """Which TaskRuns a command that takes many was told: by names, by labels, or all of them."""

    names: tuple[str, ...] = ()
    latest: bool = False
    labels: str | None = None
    flow_run: str | None = None
    everything: bool = False

    @property
    def others(self) -> tuple[object, ...]:
        """What was said besides names."""
        return self.latest, self.labels, self.flow_run, self.everything

    @property
    def by_name(self) -> bool:
        """Single runs were named; otherwise more of them may come to be meant later."""
        return bool(self.names) or self.latest

    @property
    def selector(self) -> str:
        """The label selector that finds them; empty for all."""
        return _selector_of(self.labels, self.flow_run)


def several(session: Session, meant: Meant, *, certain: bool = False) -> list[SeenTaskRun]:
    """The TaskRuns of a command that takes many, oldest first by selector; `certain` as in `one`.

    Raises `CommandFailed` for none.
    """
    ways = [meant.by_name, meant.labels is not None or meant.flow_run is not None, meant.everything]
    if sum(ways) != 1:
        given = "Say which TaskRuns in one way:" if sum(ways) else "Which TaskRuns? Give"
        raise CommandFailed(f"{given} names, -L, -l or --flow-run, or --all.", Exit.USAGE)
    if meant.by_name:
        wanted = [(name, False) for name in meant.names] + ([(None, True)] if meant.latest else [])
        found = [one(session, name, latest=newest, certain=certain) for name, newest in wanted]
        return list({run.uid: run for run in found}.values())
    found = _all(session, session.namespace, meant.selector)
    runs = sorted(found, key=lambda run: (run.created_at, run.name))
    if not runs:
        raise CommandFailed(f"No TaskRuns in namespace '{session.namespace}' are meant by that.", Exit.NOT_FOUND)
    return runs


def flow_run_of(session: Session, flow_run: str) -> list[SeenTaskRun]:
    """The TaskRuns of a flow run, oldest first. Raises `CommandFailed` for none."""
    return several(session, Meant(flow_run=flow_run))


@dataclass(frozen=True)
class Filter:
    """What `list` shows. Empty fields do not filter."""

    labels: str = ""
    states: tuple[str, ...] = ()
    flow: str = ""
    flow_run: str = ""
    tags: tuple[str, ...] = ()
    """All of them."""
    younger_than: float | None = None
    """Seconds."""
    older_than: float | None = None
    names: tuple[str, ...] = field(default=())

    @property
    def selector(self) -> str:
        """What the API server can do of it by labels."""
        flow = f"{LABEL_FLOW}={label_value(self.flow)}" if self.flow else ""
        return ",".join(part for part in (_selector_of(self.labels, self.flow_run or None), flow) if part)

    @property
    def fields(self) -> str:
        """What the API server can do of it by fields."""
        return f"status.state={self.states[0]}" if len(self.states) == 1 and self.states[0] != State.PENDING else ""

    def takes(self, run: SeenTaskRun, now: datetime) -> bool:
        """The rest of it."""
        lived = (now - run.created_at).total_seconds()
        return (
            (not self.names or run.name in self.names)
            and (not self.states or run.word in self.states)
            and set(self.tags) <= set(run.tags)
            and (self.younger_than is None or lived <= self.younger_than)
            and (self.older_than is None or lived >= self.older_than)
        )


def states(words: Sequence[str]) -> tuple[str, ...]:
    """`--state failed,Running` as states. Raises `CommandFailed` that lists them."""
    known = {word.value.lower(): word.value for word in State}
    given = [part.strip() for word in words for part in word.split(",") if part.strip()]
    for word in given:
        if word.lower() not in known:
            raise CommandFailed(f"There is no state '{word}'; the states are {', '.join(known.values())}.", Exit.USAGE)
    return tuple(dict.fromkeys(known[word.lower()] for word in given))


def _named(session: Session, name: str) -> SeenTaskRun:
    found = session.cluster.run(name)
    if found is not None:
        return SeenTaskRun(found)
    from difflib import get_close_matches

    names = [item["metadata"]["name"] for item in session.cluster.metadata_of_runs(session.namespace)]
    near = get_close_matches(name, names, n=1)
    hint = (
        f"did you mean '{near[0]}'?"
        if near
        else f"'podtask list{session.where}' shows which there are, -n looks elsewhere."
    )
    raise CommandFailed(f"There is no TaskRun '{name}' in namespace '{session.namespace}': {hint}", Exit.NOT_FOUND)


def _all(session: Session, namespace: str, labels: str = "") -> list[SeenTaskRun]:
    return [SeenTaskRun(item) for item in session.cluster.runs(namespace, labels)[0]]


def _selector_of(labels: str | None, flow_run: str | None) -> str:
    """What -l and --flow-run ask for, as one label selector."""
    return ",".join(part for part in (labels or "", selector(flow_run) if flow_run else "") if part)
