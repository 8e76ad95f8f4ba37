"""The pods that the informer cache holds: as compressed text, because a parsed pod takes ten times the memory.

A mapping like any other: what is taken out is a copy. `versions` tells what is held without unpacking anything.
Used by: `controller.cluster_cache`, `events.pod_watch`, `events.resync`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, MutableMapping
from typing import Any

from podtask_operator.task_runs.key import Key, Keys

Object = dict[str, Any]

USUAL = b"".join(
    (
        b'"ephemeralContainers":"schedulingGates":"activeDeadlineSeconds":"initContainerStatuses":"DisruptionTarget",',
        b'"message":"reason":"containerID":"waiting":{"reason":"running":{"startedAt":"deletionTimestamp":"',
        b'"controller":true,"blockOwnerDeletion":true}],"kind":"WarmPool","status":"Failed","Running","Pending",',
        b'{"metadata":{"name":"","namespace":"","uid":"","generation":1,"resourceVersion":"","creationTimestamp":"2026-',
        b'"},"labels":{"podtask.dev/task-run":"","podtask.dev/attempt":"1"},"ownerReferences":[{"apiVersion":"',
        b'podtask.dev/v1alpha1","kind":"TaskRun","controller":true,"name":"","uid":""}]},"spec":{"nodeName":""},"status":{',
        b'"phase":"Succeeded","conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-"}],',
        b'"containerStatuses":[{"name":"task","state":{"terminated":{"exitCode":0,"message":"","reason":"Completed",',
        b'"startedAt":"2026-","finishedAt":"2026-"}}}]}}',
    )
)
"""What most pods have in common; what is packed refers to it, and needs half the bytes. A held pod lives no longer than
the process, so this text may change at any time."""
FAST = 1
"""Level of compression: two thirds of the size for a tenth of the time."""


class Pods(MutableMapping[Key, Object]):
    """Projections of pods by key."""

    def __init__(self) -> None:
        self._held: dict[Key, bytes] = {}
        """The resourceVersion, a space, and the packed pod: one object less per pod than a pair."""
        self._keys = Keys()

    def __getitem__(self, key: Key) -> Object:
        return dict(json.loads(zlib.decompressobj(zdict=USUAL).decompress(self._held[key].partition(b" ")[2])))

    def __setitem__(self, key: Key, pod: Object) -> None:
        text = json.dumps(pod, separators=(",", ":")).encode()
        packer = zlib.compressobj(FAST, zdict=USUAL)
        packed = packer.compress(text) + packer.flush()
        self._held[key] = b" ".join((str(pod["metadata"]["resourceVersion"]).encode(), packed))
        self._keys.add(key)

    def __delitem__(self, key: Key) -> None:
        del self._held[key]
        self._keys.discard(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def version(self, key: Key) -> str | None:
        """The resourceVersion that is held; None where no such pod is."""
        held = self._held.get(key)
        return None if held is None else _version(held)

    def versions(self, namespace: str | None) -> dict[Key, str]:
        """The resourceVersion of each, of one namespace or of all."""
        return {key: _version(self._held[key]) for key in self._keys.within(namespace)}


def _version(held: bytes) -> str:
    return held.partition(b" ")[0].decode()
