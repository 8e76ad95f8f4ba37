"""What every route works with, and the names in a URL, checked before anything is asked with them.

A name of Kubernetes has no slash, question mark or dot dot in it: what has would ask the API server something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request

from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.access.logins import Login
from podtask.ui.access.sessions import WebSession
from podtask.ui.access.viewer import Viewer
from podtask.ui.live.reflector import ListProgress
from podtask.ui.live.stream import EventStreams

_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_OBJECT = re.compile(r"(?!.*\.\.)[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"(?!.*\.\.)[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


@dataclass
class UiState:
    """Of one server."""

    login: Login
    namespace: str
    """Where the page begins for who is not known yet."""
    viewer: Viewer | None = None
    """Of sessions that have none of their own."""
    hosts: tuple[str, ...] = ()
    """Names under which a proxy with TLS serves the page, beside 127.0.0.1 and localhost."""
    port: int = 0
    streams: EventStreams = field(default_factory=EventStreams)

    def close(self) -> None:
        """End what reads."""
        self.login.sessions.close_all()
        if self.viewer is not None:
            self.viewer.close()


def ui_of(request: Request) -> UiState:
    """The ui of the server that a request came to."""
    found: UiState = request.app.state.ui
    return found


def known_viewer(request: Request) -> Viewer | None:
    """Whoever looks; None before somebody has come in."""
    session: WebSession | None = getattr(request.state, "session", None)
    own = session.viewer if session is not None else None
    return own or ui_of(request).viewer


def still_known(request: Request, *progress: ListProgress) -> tuple[ListProgress, ...]:
    """What the page says of its lists. Raises where the token of the session's own viewer has ended: see `_failed`."""
    ended = next((one.unknown for one in progress if one.unknown is not None), None)
    if ended is not None and ui_of(request).login.asks_for == "token":
        raise ended
    return progress


def viewer_of(request: Request) -> Viewer:
    """Whoever looks, behind the guard."""
    found = known_viewer(request)
    assert found is not None
    return found


def on_cluster(request: Request) -> ClusterViewer:
    """Whoever looks at a cluster. Raises 404 for records of this machine: there are no logs, and nothing to do."""
    viewer = viewer_of(request)
    if not isinstance(viewer, ClusterViewer):
        raise HTTPException(404, "This page is about records of this machine: there is no log, and nothing to do.")
    return viewer


def allowed(viewer: ClusterViewer, namespace: str, verb: str, resource: str) -> None:
    """Raises 403 unless the viewer may do it, here and now."""
    if not viewer.actions:
        raise HTTPException(403, "This page is for reading only (ui.actions of the chart). The command can do it.")
    if not viewer.rights.now(namespace, verb, resource):
        text = (
            f"You may not {verb} {resource} in namespace '{namespace}'. An administrator can allow it by a RoleBinding."
        )
        raise HTTPException(403, text)


def namespace_of(request: Request) -> str:
    """The namespace in a URL. Raises 404 for what is no name of one."""
    return _checked(_NAMESPACE, request.path_params["namespace"], "namespace")


def task_run_of(request: Request) -> str:
    """The TaskRun's name in a URL. Raises 404 as `namespace_of`."""
    return _checked(_OBJECT, request.path_params["name"], "TaskRun")


def flow_run_of(request: Request) -> str:
    """The flow run's name in a URL, which is the value of a label. Raises 404 as `namespace_of`."""
    return _checked(_LABEL, request.path_params["name"], "flow run")


def attempt_of(request: Request, newest: int) -> int:
    """`?attempt=`, or the newest; never another than there are."""
    text = request.query_params.get("attempt", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else newest
    return number if 1 <= number <= newest else newest


def is_namespace(text: str) -> bool:
    """True for a name that a namespace may have."""
    return _NAMESPACE.fullmatch(text) is not None


def is_object(text: str) -> bool:
    """True for a name that an object may have."""
    return _OBJECT.fullmatch(text) is not None


def _checked(form: re.Pattern[str], text: str, kind: str) -> str:
    if form.fullmatch(text) is None:
        raise HTTPException(404, f"This is no name of a {kind}: {text[:100]}")
    return text
