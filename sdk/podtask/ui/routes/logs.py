"""The log of an attempt: its last lines on the page, all of it as a file, and what a search finds in all of it.

However long it is, it is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from podtask.errors import PodtaskError
from podtask.inspection import log_sources
from podtask.inspection.task_run import SeenTaskRun
from podtask.ui.access.cluster_viewer import ClusterViewer
from podtask.ui.routes.ui_state import attempt_of, namespace_of, on_cluster, task_run_of
from podtask.ui.view.log_html import line_html, lines_html

TAIL = 500
"""Lines on the page."""
FOUND = 500
"""Lines that a search shows."""
TEXT_LIMIT = 200


@dataclass
class Log:
    """What the page shows of it."""

    attempt: int
    """0: there was no attempt."""
    lines: list[Markup] = field(default_factory=list)
    trouble: str = ""
    follow: bool = False
    """The attempt goes on."""
    find: str = ""
    hits: list[tuple[int, Markup]] | None = None
    more_hits: bool = False
    full: bool = False
    """There may be lines before these."""


def log_of(request: Request, viewer: ClusterViewer, run: SeenTaskRun) -> Log:
    """The last lines of the attempt that the URL asks for, or the lines in which its search is."""
    number = attempt_of(request, run.status.attempts_total)
    if not number:
        return Log(0)
    find = request.query_params.get("find", "")[:TEXT_LIMIT]
    follow = not log_sources.over(run, number)
    try:
        if find:
            return _search(viewer, run, number, find)
        lines = log_sources.tail(viewer, run, number, TAIL)
    except PodtaskError as error:
        return Log(number, trouble=str(error), follow=follow and not find, find=find)
    return Log(number, lines_html(lines), follow=follow, full=len(lines) >= TAIL)


def whole_log(request: Request) -> Response:
    """All of it, as a file; bytes as they were printed."""
    viewer = on_cluster(request)
    run = viewer.task_run(namespace_of(request), task_run_of(request))
    number = attempt_of(request, run.status.attempts_total) if run else 0
    if run is None or not number:
        raise HTTPException(404, "There is no such log: the TaskRun is gone, or nothing was started.")
    lines = log_sources.read(viewer, run, number)
    first = list(_first(lines))  # where it cannot be read, that is a page and no file
    headers = {"Content-Disposition": f'attachment; filename="{run.name}-{number}.log"'}
    texts = (text for _, text in chain(first, lines))
    return StreamingResponse(texts, media_type="application/octet-stream", headers=headers)


def _first(lines: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    line = next(lines, None)
    if line is not None:
        yield line


def _search(viewer: ClusterViewer, run: SeenTaskRun, number: int, find: str) -> Log:
    wanted = find.lower().encode()
    hits: list[tuple[int, Markup]] = []
    count, begins = 0, True
    for _, text in log_sources.read(viewer, run, number):
        count += begins
        begins = text.endswith(b"\n")
        if wanted in text.lower():
            if len(hits) == FOUND:
                return Log(number, find=find, hits=hits, more_hits=True)
            hits.append((count, line_html(text.decode("utf-8", "replace").rstrip("\r\n"))))
    return Log(number, find=find, hits=hits)
