"""How a flow makes its calls: `ConcurrentTaskRunner` goes on at once (default), `SequentialTaskRunner` waits for each.

Where tasks run is the backend's business, on every backend both work. The names are those of the Prefect 2.0 beta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class TaskRunner:
    """Base of the two."""

    sequential: ClassVar[bool] = False


@dataclass(frozen=True)
class ConcurrentTaskRunner(TaskRunner):
    """A call returns as soon as it is submitted."""


@dataclass(frozen=True)
class SequentialTaskRunner(TaskRunner):
    """A call returns when its task is finished: one after the other, in the order of the calls."""

    sequential: ClassVar[bool] = True
