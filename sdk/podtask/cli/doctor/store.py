"""The bucket from here: can it be used, and does it keep its word on conditional writes?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from podtask.cli.common.session import Session
from podtask.cli.doctor.findings import Finding, failed, ok, skipped, warning
from podtask.cli.doctor.policy import policy
from podtask.core.storage import owner as owners
from podtask.core.storage.base import StoreError, StoreRefused
from podtask.core.storage.directory import DirectoryStore
from podtask.core.storage.probe import probe_conditional_writes
from podtask.kube.bucket_access import NoBucket
from podtask.kube.errors import ClusterRefused

if TYPE_CHECKING:
    from podtask.core.storage import Store
    from podtask.core.storage.layout import Bucket

PROBE = b"podtask doctor"
SMALL_FLOWS = "small flows work without it; "
USED_FOR = "the command reads logs and large results from it"


def bucket(session: Session) -> Iterator[Finding]:
    """Write and read a blob of this namespace, as a driver does; whose it is, what else may be written, and races."""
    try:
        store, keys = session.bucket(session.namespace).open(USED_FOR.capitalize(), "do without logs of old pods")
        place = keys.blob(hashlib.sha256(PROBE).hexdigest())
        store.put(place, PROBE)
        same = store.get(place) == PROBE
        removed = _removed(store, place)
    except (NoBucket, StoreError) as error:
        cure = f"{SMALL_FLOWS}{USED_FOR}: set AWS credentials, PODTASK_STORE, PODTASK_S3_ENDPOINT_URL"
        yield warning("bucket from here", str(error), cure)
        return
    if not same:
        yield failed("bucket from here", "it gave back other bytes than were stored", "podtask doctor store")
        return
    yield ok("bucket from here", f"an object was written{', read and deleted' if removed else ' and read'}")
    yield _owner(session, store, keys)
    if not isinstance(store, DirectoryStore):
        yield policy(store, keys)
    try:
        yield conditional(probe_conditional_writes(store, keys.run("doctor").rstrip("/")))
    except StoreRefused:
        yield skipped("conditional writes", "these credentials may not try; the operator does when it starts")


def _removed(store: Store, key: str) -> bool:
    """Whether these credentials may delete: people need not."""
    try:
        store.delete(key)
    except StoreRefused:
        return False
    return True


def _owner(session: Session, store: Store, keys: Bucket) -> Finding:
    """Whether the bucket and the kube context belong together."""
    try:
        uid = session.cluster.namespace_uid(keys.namespace)
        owner = owners.read(store, keys)
    except (ClusterRefused, StoreError) as error:
        return skipped("bucket's owner", str(error))
    if owner is None:
        told = (
            f"nobody has marked {keys.folder} yet; the operator does when a pod starts in namespace '{keys.namespace}'"
        )
        return skipped("bucket's owner", told)
    refusal = owners.refusal(owner, keys.namespace, uid, None)
    if refusal is not None:
        return warning("bucket's owner", refusal, "PODTASK_STORE, --context, or podtask bucket adopt")
    return ok("bucket's owner", f"{keys.folder} belongs to namespace '{keys.namespace}' of this cluster")


def conditional(answer: str) -> Finding:
    """What the race said."""
    if answer == "atomic":
        return ok("conditional writes", "of sixteen writers at once exactly one won, eight times")
    told = {
        "racy": "of sixteen writers at once several won",
        "none": "a second write replaces the first: If-None-Match is ignored",
    }[answer]
    cure = "they are a second fence only (keys carry the attempt); for the full guarantee use a server that has them"
    return warning("conditional writes", told, f"{cure}: podtask doctor store")
