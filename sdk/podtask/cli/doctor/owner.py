"""Which release's operator works in the namespace: by its mark, a Lease, and by what the chart publishes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from podtask.cli.doctor.findings import Finding, ok, skipped, warning
from podtask.core.api.names import CLIENT_CONFIG_MAP
from podtask.inspection.cluster import Cluster
from podtask.inspection.owner_mark import owner_mark, shown
from podtask.kube.client_config import client_config
from podtask.kube.errors import ClusterRefused

CHECK = "owner's mark"
OLD = timedelta(minutes=10)
"""A mark that was not renewed for so long holds nobody up."""


def owner(cluster: Cluster) -> Iterator[Finding]:
    """Says nothing where there is no mark: nothing is alive in the namespace, or its operator is older."""
    published = client_config(cluster.namespace, partial(cluster.api.config_map, name=CLIENT_CONFIG_MAP)) or {}
    try:
        spec = owner_mark(cluster)
    except ClusterRefused as no:
        if no.status != 403:
            raise
        yield skipped(CHECK, f"Leases of namespace '{cluster.namespace}' may not be read by you")
        return
    holder, expected = str(spec.get("holderIdentity") or ""), published.get("owner")
    if not holder or not expected or _old(spec.get("renewTime")):
        return
    if holder == expected:
        yield ok(CHECK, f"the operator of release {holder} works in namespace '{cluster.namespace}'")
        return
    yield warning(
        CHECK,
        f"release {shown(holder)} works in namespace '{cluster.namespace}', and clients read what {expected}"
        " publishes, which leaves it alone",
        "no two releases must serve one namespace: take it out of watchNamespaces of one of them",
    )


def _old(renewed: Any) -> bool:
    from podtask.core import clock

    try:
        when = datetime.fromisoformat(str(renewed).replace("Z", "+00:00"))
    except ValueError:
        return True
    return when.tzinfo is None or clock.now() - when > OLD
