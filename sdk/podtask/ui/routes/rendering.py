"""From a template and what it shows to the answer of a request.

Before: the routes. Next on the road: `podtask.ui.environment`.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from podtask.core import clock
from podtask.ui.environment import environment
from podtask.ui.routes.ui_state import known_viewer, ui_of


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the template."""
    viewer, session = known_viewer(request), getattr(request.state, "session", None)
    common = {
        "now": clock.now().timestamp(),
        "namespace": viewer.namespace if viewer else ui_of(request).namespace,
        "context": viewer.context if viewer else "",
        "local": viewer is not None and viewer.local,
        "session": session,
        "live": "",
        "version": "",
        "tab": "",
        **values,
    }
    return HTMLResponse(environment().get_template(template).render(common), status)
