"""Everything podtask raises. Each sentence says what happened, to which object, and what to do.

    PodtaskError
    ├── ReservedArgumentError (TypeError)      a task function has a parameter named `wait_for`
    ├── OutsideFlow (RuntimeError)             a task was called with no flow around it
    ├── InsideTask (RuntimeError)              a task or a flow was called by a task
    ├── NoRunContext (RuntimeError)            get_run_context / get_run_logger outside of any run
    ├── UnpicklableArgument (TypeError)        an argument cannot travel to where the task runs
    ├── MappingError (ValueError)              `.map` without an iterable, or with unequal lengths
    ├── ParameterTypeError (TypeError)         a flow was called with values its annotations refuse
    ├── BlockingCall (RuntimeError)            a wait that would stop the event loop it waits for
    ├── SettingsError (ValueError)             a setting has an impossible value
    ├── UnknownBackend (ValueError)
    ├── BackendNotInstalled (ImportError)
    ├── FlowReplayMismatch (RuntimeError)      a restarted driver met the run of another call
    ├── FlowTimedOut (TimeoutError)
    ├── FlowCancelled                          the FlowRun was cancelled or deleted; no further calls
    └── RunError                               what `.result()` raises where the task left no exception of its own
        ├── UpstreamNotReady                   an upstream did not complete; chained to its exception
        ├── TaskCrashed                        SystemExit, a dead interpreter, an unpicklable result
        ├── TaskTimedOut (TimeoutError)
        ├── TaskCancelled
        ├── RemoteError                        an exception that cannot be rebuilt here; its words can
        ├── ResultUnavailable                  the stored result is gone or damaged
        └── StatesFailed                       a flow or a task returned states that did not complete
            └── CancelledReturned              a task returned a cancelled state; it is not retried

    CheckpointError (RuntimeError)             inside a task: its progress cannot be saved or loaded as asked for

A task's own exception is raised as itself, never wrapped.
"""

from __future__ import annotations

import threading
from typing import Any

from podtask_runner import errors as of_the_runner

CheckpointError = of_the_runner.CheckpointError


class PodtaskError(Exception):
    """Base of everything podtask raises on its own account. Travels between processes with its text."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args)


def _rebuilt(kind: type[PodtaskError], args: tuple[Any, ...]) -> PodtaskError:
    """Without asking the constructor, which takes the parts of the sentence."""
    error = kind.__new__(kind)
    error.args = args
    return error


class ReservedArgumentError(PodtaskError, TypeError):
    """A task function uses a parameter name that belongs to task calls (as in Prefect 2.0b5)."""

    def __init__(self, task_name: str, argument: str = "wait_for") -> None:
        super().__init__(
            f"'{argument}' is a reserved argument name and cannot be a parameter of task '{task_name}'; rename it."
        )


class OutsideFlow(PodtaskError, RuntimeError):
    """A task was called with no flow around it."""

    def __init__(self, task_name: str) -> None:
        super().__init__(
            f"Tasks cannot be called outside of a flow. '{task_name}' was; call it inside a function decorated with "
            f"@flow, or call the plain function: {task_name}.fn(...)."
        )


class InsideTask(PodtaskError, RuntimeError):
    """A task or a flow was called by a task: tasks are leaves, only flows compose."""

    def __init__(self, kind: str, name: str, inside: str) -> None:
        super().__init__(
            f"{kind}s cannot be called from within tasks. {kind} '{name}' was called by task '{inside}'; call the "
            f"plain function with '{name}.fn(...)', or call both from the flow."
        )


class NoRunContext(PodtaskError, RuntimeError):
    """There is no flow run and no task run here."""

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function} was asked for where there is none; use it inside a function decorated with "
            f"{'@task' if 'task_run' in function else '@task or @flow'}."
            + ("" if threading.current_thread() is threading.main_thread() else _IN_A_THREAD)
        )


_IN_A_THREAD = (
    " In a thread of your own: ask before it starts and pass the answer on, or start its function with "
    "contextvars.copy_context().run(function)."
)


class UnpicklableArgument(PodtaskError, TypeError):
    """An argument cannot be pickled, so it cannot travel to where the task runs (the same on every backend)."""

    def __init__(self, task_name: str, argument: str, why: str) -> None:
        super().__init__(
            f"Argument '{argument}' of task '{task_name}' cannot be pickled ({why}). Pass what it is made from "
            f"(a path, an address, plain data) and build it inside the task."
        )


class MappingError(PodtaskError, ValueError):
    """`.map` cannot pair up its arguments."""


class ParameterTypeError(PodtaskError, TypeError):
    """A flow was called with values its annotations refuse (by pydantic, with coercion, as in Prefect 2.0b5)."""

    def __init__(self, flow_name: str, problems: str) -> None:
        super().__init__(
            f"Flow run received invalid parameters. Flow '{flow_name}': {problems}; correct the call or the "
            f"annotation, or switch the check off with @flow(validate_parameters=False)."
        )


class BlockingCall(PodtaskError, RuntimeError):
    """A blocking wait on the event loop's own thread for something only that loop can finish."""

    def __init__(self, future_name: str) -> None:
        super().__init__(
            f"Waiting for '{future_name}' here would stop the event loop that has to run it; write "
            f"'await future' (or 'await future.result()' for an async task) in the async flow."
        )


class SettingsError(PodtaskError, ValueError):
    """A setting has an impossible value; the text names the setting and where it came from."""


class UnknownBackend(PodtaskError, ValueError):
    """No backend has this name."""

    def __init__(self, name: str, backends: list[str]) -> None:
        super().__init__(
            f"There is no backend '{name}'; the known ones are {', '.join(backends)}. Set PODTASK_BACKEND, 'backend' "
            f"under [tool.podtask] in pyproject.toml, or @flow(backend=...)."
        )


class BackendNotInstalled(PodtaskError, ImportError):
    """The backend needs packages of an extra that is not installed."""

    def __init__(self, name: str, extra: str, missing: str) -> None:
        super().__init__(
            f"Backend '{name}' needs the package '{missing}', which is not installed: pip install 'podtask[{extra}]'"
        )


class FlowReplayMismatch(PodtaskError, RuntimeError):
    """A run of this flow run, task and call number exists already, and it was made by another call."""

    def __init__(self, run: str, existing: str, asked: str) -> None:
        super().__init__(
            f"'{run}' exists already and belongs to another call: it was {existing}, asked for is {asked}. The flow's "
            f"code or arguments changed since that run; start the flow with a new flow run id, or delete the old run."
        )


class FlowTimedOut(PodtaskError, TimeoutError):
    """The flow run is over its `timeout_seconds`."""


class FlowCancelled(PodtaskError):
    """The FlowRun of the flow run, or of one around it, was cancelled or deleted: no further calls."""


class RunError(PodtaskError):
    """A task run has no result, and the task left no exception of its own to raise."""


class UpstreamNotReady(RunError):
    """The task did not run because an upstream did not complete; `__cause__` is the upstream's exception."""


class TaskCrashed(RunError):
    """The attempt ended without an answer of the task: never retried."""


class TaskTimedOut(RunError, TimeoutError):
    """The last attempt ran longer than `timeout_seconds`."""


class TaskCancelled(RunError):
    """The run was cancelled."""


class RemoteError(RunError):
    """The task's exception could not be pickled, or not be rebuilt here: its type and words, with its notes.

    Its traceback is the cause.
    """


class ResultUnavailable(RunError):
    """The run completed, and its stored result cannot be read (any more)."""


class StatesFailed(RunError):
    """Returned states did not all complete, and none of them carries an exception."""


class CancelledReturned(StatesFailed):
    """A task returned a cancelled state: it gave up by itself, and is not asked again."""

    __podtask_never_retried__ = True
