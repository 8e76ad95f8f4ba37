"""podtask: Python tasks on Kubernetes, one pod per attempt.

    from podtask import flow, task

What is here is all a flow author needs. Modules on the road of a call: `tasks` → `flowrun` → `runs` → `backends`;
of a flow: `flows` → `engine` → `returns`. Nothing heavy is imported before the first task is called.
"""

from podtask.annotations import allow_failure, quote, unmapped
from podtask.context import get_run_context, get_run_logger, tags
from podtask.errors import (
    BackendNotInstalled,
    CheckpointError,
    FlowReplayMismatch,
    FlowTimedOut,
    InsideTask,
    MappingError,
    OutsideFlow,
    ParameterTypeError,
    PodtaskError,
    RemoteError,
    ReservedArgumentError,
    ResultUnavailable,
    RunError,
    TaskCancelled,
    TaskCrashed,
    TaskTimedOut,
    UnknownBackend,
    UnpicklableArgument,
    UpstreamNotReady,
)
from podtask.files import File
from podtask.flows import Flow, flow
from podtask.futures import AsyncTaskFuture, TaskFuture, ref
from podtask.payloads.project import recorder
from podtask.states import State
from podtask.task_runners import ConcurrentTaskRunner, SequentialTaskRunner
from podtask.tasks import Task, task, task_input_hash
from podtask.waiting import as_completed, wait
from podtask_runner.hashing.tokens import register_hasher
from podtask_runner.serializers import register_serializer

__version__ = "0.1.0"

recorder.start()

__all__ = [
    "AsyncTaskFuture",
    "BackendNotInstalled",
    "CheckpointError",
    "ConcurrentTaskRunner",
    "File",
    "Flow",
    "FlowReplayMismatch",
    "FlowTimedOut",
    "InsideTask",
    "MappingError",
    "OutsideFlow",
    "ParameterTypeError",
    "PodtaskError",
    "RemoteError",
    "ReservedArgumentError",
    "ResultUnavailable",
    "RunError",
    "SequentialTaskRunner",
    "State",
    "Task",
    "TaskCancelled",
    "TaskCrashed",
    "TaskFuture",
    "TaskTimedOut",
    "UnknownBackend",
    "UnpicklableArgument",
    "UpstreamNotReady",
    "allow_failure",
    "as_completed",
    "flow",
    "get_run_context",
    "get_run_logger",
    "quote",
    "ref",
    "register_hasher",
    "register_serializer",
    "tags",
    "task",
    "task_input_hash",
    "unmapped",
    "wait",
]
