"""The bucket as the page in the cluster shows it: with the page's credentials, to whom the cluster would show the log.

    GET of the TaskRun by the viewer ──> its namespace and UID ──> may the viewer get pods/log there? ──> the object

Off unless the chart's `ui.store.enabled` says so. The page's credentials read every namespace, so each object that is
read is asked for: the key is made of what the API server answered, never of the URL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket
from podtask.kube.bucket_access import BucketAccess, NoBucket


class GuardedBucket(BucketAccess):
    """Of one viewer and one namespace."""

    def __init__(self, namespace: str, store: Mapping[str, str], allowed: Callable[[str], bool]) -> None:
        """`store`: as the chart publishes it to clients. `allowed`: whether the viewer may read logs there, now."""
        super().__init__(namespace, lambda _: store, None, None)
        self._whose = namespace
        self._allowed = allowed

    def open(self, because: str, instead: str) -> tuple[Store, Bucket]:
        """Raises `NoBucket` for whom the cluster would not show the log either."""
        if not self._allowed(self._whose):
            raise NoBucket(
                f"{because}, and you may not get pods/log in namespace '{self._whose}'. An administrator can allow it "
                f"by a RoleBinding."
            )
        return super().open(because, instead)
