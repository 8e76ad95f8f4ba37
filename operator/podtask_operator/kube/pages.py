"""Lists in pages that fit into memory, whatever tenants wrote, and that come to an end, however many there are.

Used by: `client`, for every list.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from podtask_operator.kube.answers import ApiError
from podtask_operator.task_runs import held

PAGE = 500
"""Objects of the first page of a list of metadata, or of pods."""
FULL_PAGE = 200
"""TaskRuns with all their fields, where they fit: one may carry 256 KiB of inline code, modules and inputs."""
GROWTH = 8
"""Times as many objects in later pages, after small ones: each page costs etcd a count of all that follow."""
PAGE_BYTES = 8 * 1024 * 1024
PAGE_WEIGHT = 64 * 1024 * 1024
"""Bytes of a page, and of the memory that it takes parsed (`task_runs.held.weight`). A page beyond that is given up and
asked for with fewer objects, down to one: who creates objects chooses their size."""


async def of(
    ask: Callable[[Mapping[str, str], int | None], Awaitable[bytes]], size: int
) -> AsyncIterator[dict[str, Any]]:
    """All pages of a list, the first of `size` objects.

    `ask` sends the request with these parameters. Of an answer beyond the bytes of its second argument it may return a
    beginning only.

    A list that takes longer than etcd's history (5 minutes) goes on with what is there now, or it would never end. What
    changed between its two moments is told by the comparisons that follow every list.
    """
    token, fits = "", size
    while True:
        try:
            page = {"limit": str(fits), **({"continue": token} if token else {})}
            data = await ask(page, PAGE_BYTES if fits > 1 else None)
        except ApiError as error:
            if error.status != 410 or error.resume in ("", token):
                raise
            token = error.resume
            continue
        share = max(len(data) / PAGE_BYTES, held.weight(data) / PAGE_WEIGHT)
        if fits > 1 and share > 1:
            fits = max(1, fits // 4)
            continue
        answer = dict(json.loads(data))
        del data
        token = (answer.get("metadata") or {}).get("continue") or ""
        fits = min(2 * fits, size * GROWTH if share < 1 / 4 else size)
        yield answer
        del answer
        if not token:
            return
