"""Which flow runs a command line means: flow/NAME, where NAME is the id, its beginning, the title, or @latest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from podtask.cli.common.exits import CommandFailed, Exit
from podtask.cli.common.session import Session
from podtask.cli.flows.flow_run import SeenFlow, bare, is_flow
from podtask.kube.flow_runs import FlowRunApi

LATEST = "@latest"
CANDIDATES = 10
SHORTEST = 4
"""Characters of the beginning of an id."""
_ID = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of flow runs, and the others."""
    return [name for name in names if is_flow(name)], [name for name in names if not is_flow(name)]


def alone(names: Sequence[str], *others: object) -> str | None:
    """The one flow run that is meant; None: none is. Raises `CommandFailed` where something else is meant as well."""
    flows, rest = split(names)
    if not flows:
        return None
    if len(flows) > 1 or rest or any(others):
        raise CommandFailed("flow/NAME is one flow run; say nothing else besides it.", Exit.USAGE)
    return flows[0]


def one(session: Session, name: str) -> SeenFlow:
    """The flow run of that name. Raises `CommandFailed` where there is none, or more than one."""
    flow_runs, wanted = api(session), bare(name)
    if wanted != LATEST and _ID.fullmatch(wanted) and len(wanted) <= 253:
        found = flow_runs.get(session.namespace, wanted)
        if found is not None:
            return SeenFlow(found)
    listed = [SeenFlow(item) for item in flow_runs.listed(session.namespace).all()[0]]
    return chosen(listed, wanted, f"namespace '{session.namespace}'", f"podtask flows{session.where}")


def chosen(listed: Iterable[SeenFlow], wanted: str, where: str, command: str) -> SeenFlow:
    """Of those that are there, the one that is meant. Raises `CommandFailed`."""
    flows = newest_first(listed)
    if wanted == LATEST:
        outermost = [flow for flow in flows if not flow.parent]
        if not outermost:
            raise CommandFailed(f"There are no flow runs in {where}.", Exit.NOT_FOUND)
        return outermost[0]
    exact = [flow for flow in flows if wanted in (flow.name, flow.title)]
    found = exact or [flow for flow in flows if len(wanted) >= SHORTEST and flow.name.startswith(wanted)]
    if not found:
        text = f"There is no flow run '{wanted}' in {where}: {_instead(flows, wanted, command)}"
        raise CommandFailed(text, Exit.NOT_FOUND)
    if len(found) > 1:
        names = ", ".join(flow.name for flow in found[:CANDIDATES])
        raise CommandFailed(
            f"'{wanted}' may be any of {len(found)} flow runs: {names}. Say more of its name.", Exit.USAGE
        )
    return found[0]


def _instead(flows: Sequence[SeenFlow], wanted: str, command: str) -> str:
    """Where to look, or the newest run of the flow that has that name."""
    of_flow = next((flow for flow in flows if flow.flow == wanted), None)
    if of_flow is None:
        return f"'{command}' shows which there are."
    alone = sum(flow.title == of_flow.title for flow in flows) == 1
    run = f"flow/{of_flow.title if alone else of_flow.name}"
    return f"that is the name of a flow, whose newest run is {shlex.quote(run)}."


def newest_first(flows: Iterable[SeenFlow]) -> list[SeenFlow]:
    """By creation, which is told to the second; then by name."""
    return sorted(sorted(flows, key=lambda flow: flow.name), key=lambda flow: flow.created_at, reverse=True)


def api(session: Session) -> FlowRunApi:
    """Requests about FlowRuns."""
    return FlowRunApi(session.cluster.api)
