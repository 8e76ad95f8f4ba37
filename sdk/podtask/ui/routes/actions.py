"""Cancel, suspend, resume, retry, delete: a page that asks, a POST that does it. Only what the viewer may do.

The rights are asked for again at the moment of the POST, and the API server has the last word in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podtask.core.api.names import FLOW_RUN_PLURAL, PLURAL
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.errors import ClusterRefused
from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.environment import path
from podtask.ui.routes.pages import read
from podtask.ui.routes.rendering import page
from podtask.ui.routes.repeating import repeated
from podtask.ui.routes.ui_state import allowed, flow_run_of, namespace_of, on_cluster, task_run_of

T = TypeVar("T")


@dataclass(frozen=True)
class Action:
    """One thing that a person may do."""

    verb: str
    """As in RBAC."""
    title: str
    consequence: str
    act: Callable[[ClusterViewer, SeenTaskRun], str]
    """Does it; the path to look at afterwards."""
    danger: bool = False


def _change(**spec: bool) -> Callable[[ClusterViewer, SeenTaskRun], str]:
    def act(viewer: ClusterViewer, run: SeenTaskRun) -> str:
        viewer.cluster.change(run.namespace, run.name, **spec)
        return path(run.namespace, "task-runs", run.name)

    return act


def _delete(viewer: ClusterViewer, run: SeenTaskRun) -> str:
    _gone_already(lambda: viewer.cluster.remove(run.namespace, run.name))
    return path(run.namespace, "flow-runs", run.flow_run) if run.flow_run else path(run.namespace, "task-runs")


def _retry(viewer: ClusterViewer, run: SeenTaskRun) -> str:
    return path(run.namespace, "task-runs", repeated(viewer, [run])[run.name])


ACTIONS = {
    "cancel": Action(
        "patch", "Cancel", "Its pod is stopped, and nothing more is started for it.", _change(cancel=True), danger=True
    ),
    "suspend": Action(
        "patch", "Suspend", "No more pods are started for it. What runs, runs on.", _change(suspend=True)
    ),
    "resume": Action("patch", "Resume", "It goes on.", _change(suspend=False)),
    "retry": Action(
        "create",
        "Retry",
        "It is run once more under a new name. Upstreams that failed are run again before it.",
        _retry,
    ),
    "delete": Action(
        "delete",
        "Delete",
        "The TaskRun is deleted together with its pods, logs in pods, and Events.",
        _delete,
        danger=True,
    ),
}
FLOW_RUN_ACTIONS = {
    "cancel": (
        "patch",
        "Cancel",
        "Every unfinished task run of it and of its subflows is cancelled, and those to come.",
    ),
    "delete": ("delete", "Delete", "The FlowRun is deleted together with its subflows, all their TaskRuns and pods."),
}


def ask(request: Request) -> Response:
    """Are you sure?"""
    action = _known(ACTIONS, request)
    run = read(on_cluster(request), namespace_of(request), task_run_of(request))
    return page(
        request,
        "confirm.html",
        namespace=run.namespace,
        tab="task-runs",
        title=action.title,
        kind="task run",
        name=run.name,
        label=run.task,
        state=run.word,
        consequence=action.consequence,
        danger=action.danger,
        back=path(run.namespace, "task-runs", run.name),
    )


def act(request: Request) -> Response:
    """Yes."""
    action, viewer = _known(ACTIONS, request), on_cluster(request)
    run = read(viewer, namespace_of(request), task_run_of(request))
    allowed(viewer, run.namespace, action.verb, PLURAL)
    return RedirectResponse(action.act(viewer, run), 303)


def ask_flow_run(request: Request) -> Response:
    """Are you sure?"""
    _, title, consequence = _known(FLOW_RUN_ACTIONS, request)
    namespace, name = namespace_of(request), flow_run_of(request)
    found = on_cluster(request).flow_run(namespace, name)
    if found is None:
        raise HTTPException(404, f"There is no FlowRun '{name}' in namespace '{namespace}'.")
    return page(
        request,
        "confirm.html",
        namespace=namespace,
        tab="flow-runs",
        title=title,
        kind="flow run",
        name=name,
        label=str((found.get("spec") or {}).get("flow") or name),
        state=str((found.get("status") or {}).get("state") or "Running"),
        consequence=consequence,
        danger=True,
        back=path(namespace, "flow-runs", name),
    )


def act_flow_run(request: Request) -> Response:
    """Yes."""
    verb, _, _ = _known(FLOW_RUN_ACTIONS, request)
    viewer, namespace, name = on_cluster(request), namespace_of(request), flow_run_of(request)
    allowed(viewer, namespace, verb, FLOW_RUN_PLURAL)
    if verb == "patch":
        viewer.cancel_flow_run(namespace, name)
        return RedirectResponse(path(namespace, "flow-runs", name), 303)
    _gone_already(lambda: viewer.delete_flow_run(namespace, name))
    return RedirectResponse(path(namespace, "flow-runs"), 303)


def _gone_already(delete: Callable[[], object]) -> None:
    try:
        delete()
    except ClusterRefused as no:
        if no.status != 404:
            raise


def _known(table: dict[str, T], request: Request) -> T:
    action = table.get(request.path_params["action"])
    if action is None:
        raise HTTPException(404, "There is no such action.")
    return action
