"""Which TaskRuns are run again, in which order, and as what. Pure; the POSTs are made by the command and by the page.

A run that ended NotReady needs other upstreams than those that failed: they are repeated with it, first. Those whose
failure is allowed kept nothing from starting, and stay.
Below: `podtask.core.api.resubmit`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from graphlib import CycleError, TopologicalSorter

from podtask.core.api.names import State
from podtask.core.api.resubmit import NotFinished, repeat
from podtask.errors import PodtaskError
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.client import Object


class CannotRepeat(PodtaskError):
    """These TaskRuns cannot be run again; the text says why and what to do."""


def with_upstreams(chosen: Sequence[SeenTaskRun], find: Callable[[str], SeenTaskRun | None]) -> list[SeenTaskRun]:
    """With the runs behind the upstreams that kept them from starting; each once, upstreams first."""
    repeated, queue = {run.name: run for run in chosen}, list(chosen)
    while queue:
        run = queue.pop()
        behind = run.must_complete if run.state is State.NOT_READY else []
        for name in behind:
            upstream = None if name in repeated else find(name)
            if upstream is not None and upstream.finished and not upstream.state.succeeded:
                repeated[name] = upstream
                queue.append(upstream)
    order = TopologicalSorter({name: [up for up in needs(run) if up in repeated] for name, run in repeated.items()})
    try:
        return [repeated[name] for name in order.static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise CannotRepeat(
            f"These TaskRuns wait for each other: {circle}. Delete them, and submit them anew."
        ) from error


def needs(run: SeenTaskRun) -> list[str]:
    """Names of the TaskRuns that it needs or waits for."""
    return [*run.upstream, *run.waits_for]


def manifests(runs: Sequence[SeenTaskRun], taken: Collection[str]) -> list[Object]:
    """What to POST for each, upstreams first. All are made, or `CannotRepeat` is raised."""
    names: dict[str, str] = {}
    made = []
    for run in runs:
        try:
            manifest = repeat(run.obj, taken={*taken, *names.values()}, upstreams=names)
        except NotFinished as not_yet:
            raise CannotRepeat(str(not_yet)) from not_yet
        names[run.name] = manifest["metadata"]["name"]
        made.append(manifest)
    return made
