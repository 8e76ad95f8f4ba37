"""A flow that is driven from inside the cluster: what the pod of `podtask run --in-cluster` does with its flow.

    TaskRun of the driver ──runner──> podtask_drive(**parameters) ──> drive ──> the flow, on the backend `kubernetes`

The id of the flow run comes from the name of the driver's TaskRun, so a driver that is started again after a
disruption finds the TaskRuns of its flow and goes on. Told to stop (SIGTERM), it therefore leaves them alone, unless
its own TaskRun says `spec.cancel`; it asks once, at that moment (`podtask.engine.interrupts`).
Before: `podtask.cli.common.in_cluster` (the manifest). The pod's token: the chart's `driver`.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from podtask.core.api.names import PLURAL
from podtask.engine import interrupts
from podtask.errors import PodtaskError
from podtask.recording import record

if TYPE_CHECKING:
    from podtask.flows import Flow

ASK_SECONDS = 5.0
"""How long the answer may take whether the driver was cancelled, after as long for the connection; of 30 s of grace."""


def drive(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> Any:
    """Run the flow and give its value; what it raises is the driver's failure.

    Raises `RuntimeError` anywhere but in the pod of a driver.
    """
    from podtask_runner.attempt import context

    here = context.current()
    if here is None:
        raise RuntimeError("drive() is for the pod of a driver; call the flow itself, or podtask run --in-cluster.")
    record.driver_task_run = here.task_run
    context.leave()  # its calls are a flow's, not those of a task
    os.environ.update(
        PODTASK_BACKEND="kubernetes",
        PODTASK_NAMESPACE=here.namespace,
        PODTASK_FLOW_RUN_ID=here.task_run,
        PODTASK_REMOTE_LOGS="off",  # its account reads no pods
        PODTASK_PROGRESS="plain",
    )
    _leave_on_sigterm(here.namespace, here.task_run)
    value = flow.with_options(backend="kubernetes")(**parameters)
    if flow.isasync:
        import asyncio

        return asyncio.run(value)
    return value


def _leave_on_sigterm(namespace: str, name: str) -> None:
    """Before the handler that is there, the runner's, raises: what a flow is to do with its runs then."""
    runners, driver = signal.getsignal(signal.SIGTERM), os.getpid()
    if not callable(runners):
        return  # nobody's exception will end the flow
    is_cancelled = functools.cache(lambda: _is_cancelled(namespace, name))
    told = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal told
        if os.getpid() != driver:  # forked by the flow: it ends by the signal, as with the runner's handler
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        elif not told:  # a second one would interrupt what the first has begun
            told = True
            interrupts.told_to_stop(is_cancelled)
            runners(signum, frame)

    signal.signal(signal.SIGTERM, stop)


def _is_cancelled(namespace: str, name: str) -> bool:
    """What the driver's TaskRun says; False, and a sentence on stderr, where it cannot be read in time."""
    from podtask.kube.client import connect, runs_path
    from podtask.kube.errors import Asked

    asked = Asked("get", PLURAL, namespace, name)
    try:
        with connect().asking(asked, "GET", runs_path(namespace, name), {}, read_seconds=ASK_SECONDS) as answer:
            return json.loads(answer.data)["spec"].get("cancel") is True
    except (PodtaskError, KeyError) as error:
        question = f"Whether {namespace}/{name} was cancelled"
        sys.stderr.write(f"podtask: {question} could not be read, so its runs are left alone: {error}\n")
        return False
