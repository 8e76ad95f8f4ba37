"""A viewer as the cluster knows them: everything on the page is read by their credentials.

Implements `podtask.ui.access.viewer.Viewer` and `podtask.inspection.log_sources.LogReader`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from podtask.core.api.names import FLOW_RUN_PLURAL, GROUP, PLURAL, VERSION
from podtask.inspection.cluster import Cluster
from podtask.inspection.description import story
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.bucket_access import BucketAccess
from podtask.kube.client import MERGE_PATCH, Object, runs_path
from podtask.kube.errors import Asked, ClusterRefused
from podtask.ui.access.rights import Rights
from podtask.ui.live.indexes import ClusterIndexes


@dataclass
class ClusterViewer:
    """See `Viewer`."""

    cluster: Cluster
    open_bucket: Callable[[str], BucketAccess]
    context: str = ""
    """The kube context, for people."""
    options: str = ""
    """Options with which a command reaches the same cluster; without the namespace."""
    actions: bool = True
    """Whether anything may be done here; the viewer's rights are asked for in any case."""
    rights: Rights = field(init=False)
    indexes: ClusterIndexes = field(init=False)
    local: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.rights = Rights(self.cluster.api)
        self.indexes = ClusterIndexes(self.cluster.api)

    @property
    def namespace(self) -> str:
        """See `Viewer`."""
        return self.cluster.namespace

    def bucket(self, namespace: str) -> BucketAccess:
        """The bucket, as that namespace's TaskRuns use it."""
        return self.open_bucket(namespace)

    def note(self, text: str) -> None:
        """Nobody is told: the page says by itself where a log is from."""

    def where(self, namespace: str) -> str:
        """Options that a suggested command needs."""
        return f" -n {namespace}{self.options}"

    def may(self, namespace: str, verb: str, resource: str) -> bool:
        """See `Viewer`."""
        return self.actions and self.rights.probably(namespace, verb, resource)

    def close(self) -> None:
        """See `Viewer`."""
        self.indexes.close()
        self.cluster.api.close()

    def task_run(self, namespace: str, name: str) -> SeenTaskRun | None:
        """A TaskRun as it is now. Asked once: a person waits for the page."""
        found = self.cluster.api.get_or_none(Asked("get", PLURAL, namespace, name), runs_path(namespace, name))
        return None if found is None else SeenTaskRun(found)

    def flow_run(self, namespace: str, name: str) -> Object | None:
        """A FlowRun as it is now; None also where the cluster does not know FlowRuns."""
        try:
            return self.cluster.api.get_or_none(
                Asked("get", FLOW_RUN_PLURAL, namespace, name), flow_run_path(namespace, name)
            )
        except ClusterRefused as no:
            if no.status == 404:
                return None
            raise

    def events(self, run: SeenTaskRun) -> list[Object]:
        """Events of a TaskRun and its newest pod; none where they may not be read."""
        newest = run.status.latest
        about = [run.uid, *([newest.pod_uid] if newest and newest.pod_uid else [])]
        try:
            return story(event for uid in about for event in self.cluster.events(run.namespace, uid))
        except ClusterRefused:
            return []

    def cancel_flow_run(self, namespace: str, name: str) -> None:
        """Set `spec.cancel` of a FlowRun."""
        asked = Asked("patch", FLOW_RUN_PLURAL, namespace, name)
        body: Mapping[str, object] = {"spec": {"cancel": True}}
        self.cluster.api.ask(asked, "PATCH", flow_run_path(namespace, name), {}, body, content=MERGE_PATCH)

    def delete_flow_run(self, namespace: str, name: str) -> None:
        """DELETE a FlowRun; its TaskRuns follow."""
        asked = Asked("delete", FLOW_RUN_PLURAL, namespace, name)
        query = {"propagationPolicy": "Background"}
        self.cluster.api.ask(asked, "DELETE", flow_run_path(namespace, name), query)


def flow_run_path(namespace: str, name: str) -> str:
    """A FlowRun's path in the API."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{FLOW_RUN_PLURAL}/{name}"
