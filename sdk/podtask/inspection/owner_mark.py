"""Which release's operator works in a namespace: the Lease that it keeps there. Read by doctor and `helm test`."""

from __future__ import annotations

from typing import Any

from podtask.core.api.names import OWNER_LEASE
from podtask.core.api.url_path import url_path
from podtask.inspection.cluster import Cluster
from podtask.kube.errors import Asked

SHOWN = 120
"""Characters of a holder that are shown: whoever may write Leases in the namespace chooses them."""


def owner_mark(cluster: Cluster) -> dict[str, Any]:
    """The Lease's spec; empty where there is none. Raises `ClusterRefused` and `ClusterUnreachable`."""
    path = url_path("apis", "coordination.k8s.io", "v1", "namespaces", cluster.namespace, "leases", OWNER_LEASE)
    lease = cluster.api.get_or_none(Asked("get", "leases", cluster.namespace, OWNER_LEASE), path)
    return (lease or {}).get("spec") or {}


def shown(holder: str) -> str:
    """A holder as it may stand in a sentence."""
    return ascii(holder[:SHOWN])
