"""The bucket as the page in the cluster sees it: not at all.

boto3's own chain would take whatever credentials the node has, and show their objects to everybody.
"""

from __future__ import annotations

from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket
from podtask.kube.bucket_access import BucketAccess, NoBucket


class ClosedBucket(BucketAccess):
    """Opens nothing and asks nobody."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace, lambda _: None, None, None)

    def open(self, because: str, instead: str) -> tuple[Store, Bucket]:
        """Raises `NoBucket`."""
        text = f"{because}, for which this page has no credentials: {instead}, or use podtask ui on your own machine."
        raise NoBucket(text)
