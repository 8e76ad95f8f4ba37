"""A WarmPool as the operator holds it: parsed once, defensively, from what the API server sent.

Its pods are built as those of a TaskRun are (`as_run`), so whatever a pod has, an idle one has, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pydantic import ValidationError

from podtask.core.api.names import API_VERSION, WARM_POOL_KIND
from podtask.core.api.spec import EnvVar, Task, TaskRunSpec
from podtask.core.api.status import Status
from podtask.core.api.warm_pool import WarmPoolSpec, WarmPoolStatus
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import Malformed, TaskRun

Object = dict[str, Any]


@dataclass(frozen=True)
class WarmPool:
    """One WarmPool."""

    key: Key
    uid: str
    resource_version: str
    spec: WarmPoolSpec
    status: WarmPoolStatus
    raw_status: Mapping[str, Any]
    deleting: bool = False

    @classmethod
    def parse(cls, obj: Object) -> WarmPool:
        """Raises `Malformed`; unknown fields are ignored."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        try:
            spec = WarmPoolSpec.model_validate(obj.get("spec") or {})
            status = WarmPoolStatus.model_validate(obj.get("status") or {})
        except (ValidationError, RecursionError) as error:
            raise Malformed(f"WarmPool {key} cannot be read: {str(error)[:300]}") from None
        deleting = meta.get("deletionTimestamp") is not None
        return cls(key, meta["uid"], meta["resourceVersion"], spec, status, obj.get("status") or {}, deleting)

    def as_run(self) -> TaskRun:
        """A TaskRun whose pod would be the pool's, but for what belongs to one attempt."""
        spec = TaskRunSpec(
            task=Task(source="#", python=self.spec.python),
            image=self.spec.image,
            resources=self.spec.resources,
            env=[EnvVar(name=variable.name, value=variable.value) for variable in self.spec.env],
            node_selector=self.spec.node_selector,
            tolerations=self.spec.tolerations,
            pod_template=self.spec.pod_template,
        )
        epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
        return TaskRun(self.key.name, self.key.namespace, self.uid, 1, epoch, "", {}, {}, spec, Status())

    def reference(self) -> Object:
        """The owner reference of an idle pod: deleting the pool removes it, until an attempt takes it over."""
        return {
            "apiVersion": API_VERSION,
            "kind": WARM_POOL_KIND,
            "name": self.key.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
