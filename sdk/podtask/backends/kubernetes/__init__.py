"""The Kubernetes backend. The road of a call, module by module:

    backend      submits, cancels, reads; decides what has to wait and what not
    caching      spec.cache; a user's key function or hashes for the operator
    manifest     the TaskRun as a plain dict (pure)
    bucket       what is too large for a TaskRun or a status
    client       requests to the API server; refusals: its answers as sentences
    watch        status changes, one watch per flow run; statuses: JSON to `Status`
    logs         what tasks print in their pods
    local_ends   ends of runs that never had a TaskRun; references: results of other backends, by value

Nothing of it is imported before the first flow that runs on a cluster.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from podtask.errors import BackendNotInstalled

if TYPE_CHECKING:
    from podtask.engine.backend import Backend
    from podtask.settings import Settings


def create(settings: Settings) -> Backend:
    """The backend for these settings. Raises `BackendNotInstalled`, `ClusterUnreachable`."""
    if find_spec("kubernetes") is None:
        raise BackendNotInstalled("kubernetes", "kubernetes", "kubernetes")
    from podtask.backends.kubernetes.backend import KubernetesBackend

    return KubernetesBackend(settings)
