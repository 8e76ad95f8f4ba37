"""What the chart publishes to clients in ConfigMaps named `podtask-client`: whose word counts.

A release that serves the whole cluster publishes only in its own namespace, and says so (`scope: cluster`). Then a
ConfigMap of that name in any other namespace is not the chart's: whoever may write ConfigMaps there could name a bucket
to which everybody's code and inputs go. Otherwise the namespace's own comes first: its release may be another one.
Before: `client`. Used by: `bucket_access`, the backend, the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podtask.core.api.names import OPERATOR_NAMESPACE

SCOPE = "scope"
CLUSTER = "cluster"
Published = Callable[[str], "Mapping[str, str] | None"]
"""Namespace -> data of its ConfigMap `podtask-client`."""


def client_config(namespace: str, published: Published, key: str = "") -> Mapping[str, str] | None:
    """The published data for a namespace; with `key` the first that has a value for it."""
    release = published(OPERATOR_NAMESPACE)
    if release is not None and release.get(SCOPE) == CLUSTER:
        return release if not key or release.get(key) else None
    own = published(namespace) if namespace != OPERATOR_NAMESPACE else None
    return next((data for data in (own, release) if data and (not key or data.get(key))), None)
