"""TaskRuns once more under new names, with the upstreams that kept them from starting.

Used by: `actions`, `selection`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from podtask.inspection.repeats import manifests, with_upstreams
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.errors import ClusterRefused
from podtask.ui.access.cluster_viewer import ClusterViewer

NAMES_TRIED = 20


def repeated(viewer: ClusterViewer, chosen: Sequence[SeenTaskRun]) -> Mapping[str, str]:
    """The name of each repeat, by the name of what it repeats. Runs of one namespace; upstreams first.

    A name that is taken meanwhile is not: the next one is tried.
    """
    namespace = chosen[0].namespace
    taken: set[str] = set()
    done: dict[str, str] = {}
    for one in with_upstreams(chosen, lambda name: viewer.task_run(namespace, name)):
        for _ in range(NAMES_TRIED):
            manifest = _renamed(manifests([one], {*taken, *done.values()})[0], done)
            try:
                done[one.name] = viewer.cluster.create(manifest, namespace)["metadata"]["name"]
                break
            except ClusterRefused as no:
                if no.reason != "AlreadyExists":
                    raise
                taken.add(manifest["metadata"]["name"])
        else:
            raise HTTPException(409, f"The names after '{one.name}' are all taken. Delete some of its repeats.")
    return done


def _renamed(manifest: dict[str, Any], done: Mapping[str, str]) -> dict[str, Any]:
    """With the repeats of upstreams that were made before in the places of those."""
    spec = manifest["spec"]
    for needed in [*spec.get("upstream", ()), *spec.get("waitFor", ())]:
        needed["taskRun"] = done.get(needed["taskRun"], needed["taskRun"])
    return manifest
