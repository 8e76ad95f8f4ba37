"""Which run is this? For user code inside the child: `podtask_runner.attempt.context.current()`.

Set once by `podtask_runner.process.child`, before user code is loaded. The same facts are in the environment
(`names.ENV_RUN_NAME`, `names.ENV_ATTEMPT`) for programs that the user's code starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask_runner.names import ENV_ATTEMPT, ENV_RUN_NAME
from podtask_runner.protocol import Grants
from podtask_runner.storage.client import Reload, Store
from podtask_runner.storage.spool import temporary

if TYPE_CHECKING:
    from podtask_runner.attempt.checkpoint import Checkpoint


@dataclass(frozen=True)
class RunInfo:
    """The attempt that is being executed. `attempt` counts from 1 and includes disrupted attempts."""

    namespace: str
    task_run: str
    attempt: int
    task_name: str = ""
    flow_run: str = ""
    tags: tuple[str, ...] = ()
    run_name: str = ""
    flow_name: str = ""
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)
    """None where the task does not ask for checkpoints."""

    def __getstate__(self) -> dict[str, object]:
        """Elsewhere it tells of the attempt, and saves nothing."""
        return {name: value for name, value in vars(self).items() if name != "checkpoint"}


@dataclass(frozen=True)
class Item:
    """The item of a batch that is being executed: a call with a name of its own."""

    id: str
    name: str
    number: str
    """Of the call, as it would be without a batch."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


ITEM: ContextVar[Item | None] = ContextVar("podtask_item", default=None)

_current: RunInfo | None = None


def current() -> RunInfo | None:
    """The attempt this process executes; None anywhere but in a runner's child."""
    return _current


def enter(grants: Grants, reload: Reload | None = None, room: Callable[[], Path] = temporary) -> None:
    """Make the attempt known to user code in this process and below it. `room`: names for its temporary files."""
    global _current  # noqa: PLW0603 - one process executes one attempt
    _current = RunInfo(
        grants.namespace,
        grants.task_run,
        grants.attempt,
        grants.task_name,
        grants.flow_run,
        grants.tags,
        grants.run_name,
        grants.flow_name,
        None if grants.checkpoints is None else _checkpoint(grants, reload, room),
    )
    os.environ[ENV_RUN_NAME] = grants.task_run
    os.environ[ENV_ATTEMPT] = str(grants.attempt)


def _checkpoint(grants: Grants, reload: Reload | None, room: Callable[[], Path]) -> Checkpoint:
    from podtask_runner.attempt.checkpoint import Checkpoint

    return Checkpoint(grants.attempt, lambda: Store(grants, reload), room)


def leave() -> None:
    """From now on this process executes no attempt: it drives a flow (`podtask.driver`)."""
    global _current  # noqa: PLW0603 - as in `enter`
    _current = None
