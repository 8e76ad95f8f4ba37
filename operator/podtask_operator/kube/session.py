"""What kopf reads of the API server, bounded: an aiohttp response that hands on no large body, and no echo.

kopf parses lists page by page and watches line by line, and keeps what it parsed until a worker of its own has handed
it on: fifteen hostile TaskRuns of 1.2 MB became half a gigabyte there. So of a list kopf gets the version to watch
from and no objects (`events.resync` compares them by pages that fit), and of a watch a line that is too heavy is cut
(`task_runs.held.bounded`) before kopf sees it, one at a time. A line that tells of an own write is left out (`echoes`).
Before: `login`, which makes the session. Next: kopf.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from podtask.core.api.names import FLOW_RUN_PLURAL, PLURAL
from podtask_operator.kube.echoes import Echoes
from podtask_operator.task_runs import held

ONE = 1
"""Objects of the page that kopf asks for: none is handed on, and the server refuses to list none."""


class Bounded(aiohttp.ClientResponse):
    """An answer to kopf."""

    echoes = Echoes()
    """None, until `response_class` has put those of a process here."""

    def listed(self) -> None:
        """kopf made a list: what it is not told of is to be compared."""

    async def start(self, connection: Any) -> Bounded:
        """Read the headers."""
        await super().start(connection)
        if self.status == 200 and "watch" in self.url.query:
            self.content: Any = WatchLines(self.content, self.echoes)
        return self

    async def json(self, **options: Any) -> Any:
        """The parsed body; of a list the version, as if nothing were there."""
        answer = await super().json(**options)
        if self.status != 200 or "limit" not in self.url.query or self.url.name not in (PLURAL, FLOW_RUN_PLURAL):
            return answer
        self.listed()
        return {**answer, "items": [], "metadata": {"resourceVersion": answer["metadata"]["resourceVersion"]}}


def response_class(listed: Callable[[], None], echoes: Echoes) -> type[Bounded]:
    """For one session: `listed` is called for each list that kopf makes, and `echoes` are left out of its watches."""

    class Telling(Bounded):
        def listed(self) -> None:
            listed()

    Telling.echoes = echoes
    return Telling


class WatchLines:
    """A watch's content in whole lines, none heavy and none an echo; what follows the last end of line was cut off."""

    def __init__(self, content: aiohttp.StreamReader, echoes: Echoes) -> None:
        self._content = content
        self._echoes = echoes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """Lines as they come."""
        begun: list[bytes] = []
        async for chunk in self._content.iter_any():
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                line = b"".join((*begun, end)) if begun else end
                begun.clear()
                if self._echoes.told_by(line):
                    continue
                yield (light(line) if held.heavy(line) else line) + b"\n"
            if rest:
                begun.append(rest)


def light(line: bytes) -> bytes:
    """The event with what is left of a TaskRun that is too large."""
    event = json.loads(line)
    return json.dumps({**event, "object": held.bounded(event["object"])}).encode()
