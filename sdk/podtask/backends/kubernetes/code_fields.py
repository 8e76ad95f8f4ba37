"""The code of a call as fields of its TaskRun: the pickle, the project by its digest, what was changed in it.

    shipment ──> are its modules in the image? ──> code: inline or stored    bundle: stored once, named by every TaskRun

Without a bucket that can be used from here the project travels inside the TaskRun, as long as there is room; of a
larger one, the modules that this call reaches. Used by: `backend`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from podtask.backends.kubernetes.module_check import CompiledModule, ImageContents
from podtask.payloads.code import Shipment
from podtask.payloads.project.reach import Reach, compiled_file
from podtask_runner.hashing import modules
from podtask_runner.names import INLINE_LIMIT

if TYPE_CHECKING:
    from podtask.kube.bucket_access import BucketAccess
    from podtask.model.definitions import TaskDefinition
    from podtask.payloads.project.state import Bundle

Object = dict[str, Any]


class CodeFields:
    """Makes the code fields of TaskRuns in one namespace."""

    def __init__(self, bucket: BucketAccess, image: ImageContents) -> None:
        self._bucket, self._image = bucket, image
        self._inline: Counter[bytes] = Counter()
        """Code -> bytes of it that went inside of TaskRuns."""

    def fields(self, task: TaskDefinition, sent: Shipment, named: frozenset[str]) -> dict[str, Object]:
        """`named`: modules that the arguments need. Raises `ModuleMissing`, `CompiledModule`, `NoBucket`."""
        if task.options.image is None:
            self._check(task, sent, named)
        name = task.name
        found = {"code": self._code(sent.code, f"The code of task '{name}'")}
        if sent.bundle is not None:
            what = f"The project that task '{name}' belongs to, with {len(sent.bundle.collected.sources)} modules,"
            found["bundle"] = bundle_field(self._bucket, sent.bundle, sent.reach, what)
        if sent.overlay is not None:
            what = f"What was changed in modules that task '{name}' may use"
            found["overlay"] = self._bucket.carry_once(sent.overlay, what) or self._bucket.carry(sent.overlay, what)
        return found

    def _code(self, code: bytes, what: str) -> Object:
        """The code: inline for the first calls, in the bucket for further ones. A small flow needs no bucket."""
        key = hashlib.sha256(code).digest()
        self._inline[key] += len(code)
        if len(code) <= INLINE_LIMIT < self._inline[key]:
            carried = self._bucket.carry_once(code, what)
            if carried is not None:
                return carried
        return self._bucket.carry(code, what)

    def _check(self, task: TaskDefinition, sent: Shipment, named: frozenset[str]) -> None:
        travelling = sent.bundle.collected if sent.bundle is not None else None
        ours = travelling.sources.keys() | travelling.namespaces if travelling is not None else set[str]()
        needed = (sent.packing.by_name | named | sent.reach.needed) - ours
        for name in sorted(needed):
            file = compiled_file(name)
            if file is not None and modules.is_own(name, file):
                raise CompiledModule(task.name, name, file)
        later = sent.packing.imported_elsewhere()
        self._image.check(task.name, needed, later, sent.exclude)


def bundle_field(bucket: BucketAccess, bundle: Bundle, reached: Reach, what: str) -> Object:
    """Where the project is, for a TaskRun. Raises `NoBucket` that says `what` is too large."""
    if bundle.stored:
        return {"digest": bundle.digest, "size": len(bundle.data)}
    carried = bucket.carry_once(bundle.data, what)
    if carried is None:
        part = bundle.only(reached.modules).data
        carried = bucket.carry_once(part, what) if len(part) <= INLINE_LIMIT else None
    if carried is None:
        raise bucket.refuse(len(bundle.data), what)
    return carried
