"""What these credentials may write in the bucket that people need not: cache entries, and folders of other namespaces.

Whoever may write a cache entry chooses the value that every later run of its key opens, so the policy for people
(docs: Install, Policies of the bucket) allows blobs of their own namespace and nothing else. Tried with an object of a
fixed name, which is removed again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from podtask.cli.doctor.findings import Finding, ok, skipped, warning
from podtask.core.storage.base import StoreError, StoreRefused

if TYPE_CHECKING:
    from podtask.core.storage import Store
    from podtask.core.storage.layout import Bucket

CHECK: Final = "bucket's policy"
NOBODY: Final = "podtask-doctor"
"""A namespace that hardly anybody has."""


def policy(store: Store, keys: Bucket) -> Finding:
    """A warning where the credentials may do more than a person needs."""
    tried = {
        f"cache entries of namespace '{keys.namespace}'": f"{keys.cache_prefix}doctor",
        "the folders of other namespaces": f"{replace(keys, namespace=NOBODY).folder}blobs/doctor",
    }
    try:
        allowed = [what for what, key in tried.items() if _writable(store, key)]
    except StoreError as error:
        return skipped(CHECK, str(error))
    if not allowed:
        return ok(CHECK, "these credentials write neither cache entries nor folders of other namespaces")
    told = f"these credentials may write {' and '.join(allowed)}: what stands there is opened by runs of others"
    return warning(CHECK, told, "give people the least policy (docs: Install, Policies of the bucket)")


def _writable(store: Store, key: str) -> bool:
    try:
        store.put(key, b"podtask doctor")
    except StoreRefused:
        return False
    try:
        store.delete(key)
    except StoreRefused:  # it may write and not remove: a few bytes stay, under the same name each time
        return True
    return True
