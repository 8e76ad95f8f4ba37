"""A TaskRun as the subject of spans. Pure. A tenant wrote all of it; `podtask.core.tracing` bounds what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podtask.core.api.names import ANNOTATION_TRACEPARENT, LABEL_FLOW, LABEL_FLOW_RUN, LABEL_TASK
from podtask.core.tracing.context import read
from podtask.core.tracing.spans import Subject
from podtask_operator.task_runs.parse import TaskRun


def subject_of(run: TaskRun, obj: Mapping[str, Any]) -> Subject:
    """Whose spans they are. `obj`: as the API server sent it, because annotations are not kept."""
    annotations = obj["metadata"].get("annotations")
    traceparent = annotations.get(ANNOTATION_TRACEPARENT) if isinstance(annotations, Mapping) else None
    return Subject(
        uid=run.uid,
        name=run.name,
        task=run.labels.get(LABEL_TASK) or run.name,
        created_at=run.created_at,
        parent=read(traceparent),
        flow_run=run.labels.get(LABEL_FLOW_RUN, ""),
        flow=run.labels.get(LABEL_FLOW, ""),
        namespace=run.namespace,
    )
