"""What TaskRuns name in the bucket: the first half of the garbage collection. Pure. Next: `gc`.

Marks name more than they need to, on purpose: a UID anywhere keeps everything of that run, a digest anywhere keeps its
blob, whichever field it stands in and whatever text is around it. A field that a later version invents marks as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_NAMES: Final = re.compile(
    r"(?<![0-9a-f])(?:(?P<digest>[0-9a-f]{64})|(?P<uid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))(?![0-9a-f])"
)


@dataclass
class Marks:
    """What must stay: everything of these runs, and these blobs."""

    uids: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)

    def add_run(self, obj: Mapping[str, Any]) -> None:
        """Mark what a TaskRun names, as the API server has it. Nothing needs to be well-formed."""
        todo: list[Any] = [obj]
        while todo:
            value = todo.pop()
            if isinstance(value, Mapping):
                todo.extend(value.keys())
                todo.extend(value.values())
            elif isinstance(value, list):
                todo.extend(value)
            elif isinstance(value, str) and len(value) >= 36:
                self._add_text(value)

    def _add_text(self, text: str) -> None:
        for name in _NAMES.finditer(text):
            if name["uid"]:
                self.uids.add(name["uid"])
            else:
                self.digests.add(name["digest"])


def mark(runs: Iterable[Mapping[str, Any]]) -> Marks:
    """What these TaskRuns name. They must be all of the namespaces that are swept."""
    marks = Marks()
    for run in runs:
        marks.add_run(run)
    return marks
