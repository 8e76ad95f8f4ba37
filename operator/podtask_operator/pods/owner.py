"""Which TaskRun an object belongs to: the reference we write on what we make, and the way back. Pure."""

from __future__ import annotations

from typing import Any

from podtask.core.api.names import API_VERSION, KIND
from podtask_operator.pods.fields import at, mappings, text
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun


def reference(run: TaskRun) -> dict[str, Any]:
    """The owner reference that lets the garbage collector remove what a deleted run leaves."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": run.name,
        "uid": run.uid,
        "controller": True,
        # True would need the right to set finalizers on TaskRuns, and would only delay a foreground deletion.
        "blockOwnerDeletion": False,
    }


def owner_key(pod: Any) -> Key | None:
    """The TaskRun that controls a pod, by name; whether it is that very one, `pods.status.is_ours` tells."""
    namespace = text(at(pod, "metadata", "namespace"))
    for owner in mappings(at(pod, "metadata", "ownerReferences")):
        name = text(owner.get("name"))
        if owner.get("kind") == KIND and owner.get("controller") is True and namespace and name:
            return Key(namespace, name)
    return None
