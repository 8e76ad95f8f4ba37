"""Whose part of the bucket a namespace's folder is: the mark `<prefix>/<namespace>/owner.json`.

A bucket's address and a kube context are two settings, and nothing else says that they belong together. The mark holds
the namespace's UID, which no other namespace of any cluster ever has. The operator writes it once, at the first use.

    no mark            the operator writes it; `podtask gc` refuses
    the same UID       the cache is used, and what nobody needs may be removed
    another UID        runs start, the cache is off, and nothing is removed until `podtask bucket adopt`

One case of another UID needs no person: the namespace was deleted and made anew in the same cluster. The mark names the
cluster as well, where the operator may read that, and the operator then takes the folder over by itself.
What is older than the mark is not removed for `PROTECTED` after the mark was written, however it came about.
Users: the operator (`podtask_operator.storage.owners`), `gc`, the command. Blocking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from podtask.core.storage.base import AlreadyStored, NotStored, Store
from podtask.core.storage.layout import Bucket

PROTECTED: Final = timedelta(days=30)
"""How long what is older than the mark is never removed."""
OWNER_LIMIT: Final = 1024
"""Bytes of a mark that are read; one that is longer cannot be read."""
VERSION: Final = 1
CLUSTER_NAMESPACE: Final = "kube-system"
"""The namespace that lives as long as its cluster, so that its UID is that of the cluster."""
_UID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
CURE: Final = (
    "If the bucket and the cluster do belong together (a cluster that was moved or restored), run: "
    "podtask bucket adopt --namespace {}"
)


@dataclass(frozen=True)
class BucketOwner:
    """A mark as it was read."""

    namespace_uid: str
    """Empty for a mark that cannot be read: it belongs to nobody that is asked about."""
    cluster_uid: str | None
    """UID of a namespace that lives as long as its cluster (`kube-system`, or that of the operator)."""
    since: datetime
    """When the mark was written, by the clock that dates the objects, too."""

    def protects(self, modified: float, now: datetime) -> bool:
        """Whether an object that was written then is older than the mark, and the mark is young."""
        return modified < self.since.timestamp() and now < self.since + PROTECTED


def refusal(owner: BucketOwner | None, namespace: str, uid: str | None, cluster_uid: str | None) -> str | None:
    """Why the folder of a namespace is not this cluster's; None where it is.

    `uid`: of the namespace as it is now, or None where it was deleted. What a deleted namespace left is this cluster's
    only where the mark names this cluster.
    """
    if owner is None:
        return f"No operator has marked the folder of namespace '{namespace}' in this bucket. {CURE.format(namespace)}"
    if uid and owner.namespace_uid == uid:
        return None
    if uid is None and cluster_uid is not None and owner.cluster_uid == cluster_uid:
        return None
    if uid is None:
        return f"There is no namespace '{namespace}', and its folder in this bucket is not marked as this cluster's."
    whose = f"the namespace with UID {owner.namespace_uid}" if owner.namespace_uid else "nobody: its mark is unreadable"
    return (
        f"The folder of namespace '{namespace}' in this bucket belongs to {whose} (since {owner.since:%Y-%m-%d}), "
        f"and here the namespace has UID {uid}. If this is the wrong bucket or the wrong cluster, correct that. "
        f"{CURE.format(namespace)}"
    )


def read(store: Store, bucket: Bucket) -> BucketOwner | None:
    """The mark; None where there is none. Raises `StoreUnavailable`."""
    try:
        data = store.get(bucket.owner, limit=OWNER_LIMIT + 1)
    except NotStored:
        return None
    info = store.head(bucket.owner)
    if info is None:
        return None
    uid, cluster = _parsed(data)
    return BucketOwner(uid, cluster, datetime.fromtimestamp(info.modified, timezone.utc))


def claim(
    store: Store,
    bucket: Bucket,
    uid: str,
    cluster_uid: str | None,
    *,
    may_write: Callable[[], bool] = lambda: True,
) -> BucketOwner | None:
    """The mark, written now where there is none, or where it is of an earlier namespace of the name and this cluster.

    It is read back: where a store knows no conditional writes, of two that write at once the later one is the owner.
    `may_write` is asked right before the write. Raises `StoreUnavailable`.
    """
    owner = read(store, bucket)
    anew = owner is not None and owner.namespace_uid != uid and None is not owner.cluster_uid == cluster_uid
    if (owner is not None and not anew) or not may_write():
        return owner
    with suppress(AlreadyStored):  # by another operator, a moment ago
        store.put(bucket.owner, dump(uid, cluster_uid), if_absent=owner is None)
    return read(store, bucket)


def adopt(store: Store, bucket: Bucket, uid: str, cluster_uid: str | None) -> None:
    """Write the mark over whatever mark there is: a person says that the folder is this namespace's."""
    store.put(bucket.owner, dump(uid, cluster_uid))


def dump(uid: str, cluster_uid: str | None) -> bytes:
    """The mark as it is stored."""
    document = {"v": VERSION, "namespaceUID": uid, "clusterUID": cluster_uid}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def _parsed(data: bytes) -> tuple[str, str | None]:
    """UID of the namespace and of the cluster; empty and None for whatever is odd."""
    try:
        document = json.loads(data) if len(data) <= OWNER_LIMIT else None
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(document, dict) or document.get("v") != VERSION:
        return "", None
    uid, cluster = document.get("namespaceUID"), document.get("clusterUID")
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        return "", None
    return uid, cluster if isinstance(cluster, str) and _UID.fullmatch(cluster) else None
