"""A cluster with flow runs."""

from __future__ import annotations

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.flow_objects import ENDED, ID, INNER, LOST, flow, task_run


@pytest.fixture
def etl(podtask: Terminal) -> Terminal:
    """A failed flow run of three tasks with a subflow of one, and another flow run."""
    inner = {"parent": {"name": ID, "uid": f"uid-{ID}"}}
    podtask.cluster.flow_runs.add(
        flow(
            status=ENDED,
            parameters=[{"name": "x", "value": "1"}, {"name": "password", "type": "str", "omitted": "Hidden"}],
        ),
        flow(INNER, title="inner-0000aaaa", status={"state": "Completed", "duration": "9s"}, **inner),
        flow("7777", minute=9, title="other-7777", status={"state": "Running", "conditions": [LOST]}),
    )
    podtask.cluster.add(
        task_run("load-1", "Completed", ended="03:04:20"),
        task_run("clean-1", "Failed", ID, "load-1", ended="03:04:50"),
        task_run("store-1", "NotReady", ID, "clean-1", ended="03:04:51"),
        task_run("inside-1", "Completed", INNER),
        task_run("beside-1", "Completed", "another"),
    )
    return podtask
