"""A flow that is driven from inside the cluster: what the pod of `podtask run --in-cluster` does with its flow.

    TaskRun of the driver ──runner──> podtask_drive(**parameters) ──> drive ──> the flow, on the backend `kubernetes`

The id of the flow run comes from the name of the driver's TaskRun, so a driver that is started again after a
disruption finds the TaskRuns of its flow and goes on.
Before: `podtask.cli.incluster` (the manifest). The pod's token: the chart's `driver`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podtask.flows import Flow


def drive(flow: Flow[..., Any], parameters: Mapping[str, Any]) -> Any:
    """Run the flow and give its value; what it raises is the driver's failure.

    Raises `RuntimeError` anywhere but in the pod of a driver.
    """
    from podtask_runner import context

    here = context.current()
    if here is None:
        raise RuntimeError("drive() is for the pod of a driver; call the flow itself, or podtask run --in-cluster.")
    context.leave()  # its calls are a flow's, not those of a task
    os.environ.update(
        PODTASK_BACKEND="kubernetes",
        PODTASK_NAMESPACE=here.namespace,
        PODTASK_FLOW_RUN_ID=here.task_run,
        PODTASK_REMOTE_LOGS="off",  # its account reads no pods
        PODTASK_PROGRESS="plain",
    )
    value = flow.with_options(backend="kubernetes")(**parameters)
    if flow.isasync:
        import asyncio

        return asyncio.run(value)
    return value
