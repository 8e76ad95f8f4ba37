"""`podtask bucket adopt`: say that a namespace's folder in the bucket is this cluster's. What the mark is for:
`podtask.core.storage.owner`.

For a cluster that was moved or restored: its namespaces have other UIDs than those that the bucket is marked with.
Before: `session` (the bucket, the cluster).
"""

from __future__ import annotations

import click

from podtask.cli.common import output
from podtask.cli.common.options import with_session
from podtask.cli.common.session import Session
from podtask.core.storage import owner as owners
from podtask.kube.errors import ClusterRefused


@click.group("bucket", no_args_is_help=True)
def bucket() -> None:
    """Say which namespace a folder of the bucket belongs to."""


@bucket.command("adopt")
@with_session
def adopt(session: Session) -> None:
    """Take the namespace's folder in the bucket over, from whatever namespace or cluster it was marked for.

    What is in the folder by now is not removed for 30 days. Another cluster that still uses the folder stops to use
    its cache there and to sweep it.
    """
    namespace = session.namespace
    because = f"What namespace '{namespace}' has stored is in the cluster's bucket"
    store, folder = session.bucket(namespace).open(because, "let somebody do it who may use the bucket")
    uid = session.cluster.namespace_uid(namespace)
    before = owners.read(store, folder)
    if before is not None and before.namespace_uid == uid:
        output.out(f"{folder.folder} is marked for namespace '{namespace}' already, since {before.since:%Y-%m-%d}.")
        return
    owners.adopt(store, folder, uid, _cluster_uid(session))
    whose = "nobody" if before is None else before.namespace_uid or "nobody that can be read"
    days = owners.PROTECTED.days
    output.out(
        f"{folder.folder} is namespace '{namespace}' of {session.cluster.api.server} now (UID {uid}; before: {whose}). "
        f"What is in it is not removed for {days} days."
    )


def _cluster_uid(session: Session) -> str | None:
    """As the operator writes it; most people may not read that, and then a namespace made anew is adopted again."""
    try:
        return session.cluster.namespace_uid(owners.CLUSTER_NAMESPACE)
    except ClusterRefused:
        return None
