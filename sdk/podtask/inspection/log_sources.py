"""Where the output of an attempt is: in its pod while that runs, in the bucket for ever after.

    pod log API    live, behind a time per line; the kubelet keeps the newest 10 MB only and drops it with the pod
    bucket         runs/<uid>/<n>/log/000001, …: all of it, in pieces of up to 256 KiB, seconds late

So an attempt that is over is read from the bucket, and from its pod only where the bucket cannot be used from here.
Nothing is held in memory beyond one piece and, of a line that does not end, 64 KiB. Asked by: the command and the page.
"""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

from podtask.core.api.status import own_pod_name, pod_name
from podtask.core.storage.base import StoreError
from podtask.errors import PodtaskError
from podtask.inspection.log_lines import LONGEST, Line, cut
from podtask.inspection.task_run import SeenTaskRun
from podtask.kube.bucket_access import NoBucket
from podtask.kube.errors import ClusterRefused

if TYPE_CHECKING:
    from podtask.core.storage import ObjectInfo, Store
    from podtask.inspection.cluster import Cluster
    from podtask.kube.bucket_access import BucketAccess

INSTEAD = "read it while the pod is there"
LOOK_SECONDS = 1.0
"""Between two looks at a pod that has not started."""
NOT_THERE = (400, 404)
"""What the API server answers about a pod that has not started, or is gone."""


class LogUnavailable(PodtaskError):
    """The output of an attempt cannot be read; the text says why and what to do."""


class LogReader(Protocol):
    """Where a log may be read from, and who is told that it was taken from the second-best place."""

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        ...

    def bucket(self, namespace: str) -> BucketAccess:
        """The bucket, as that namespace's TaskRuns use it."""
        ...

    def note(self, text: str) -> None:
        """Something beside the lines, for people."""
        ...


def over(run: SeenTaskRun, number: int) -> bool:
    """True once the attempt is judged; older ones than the status keeps are."""
    attempt = run.attempt(number)
    return attempt.judged if attempt else run.finished or number < run.status.attempts_total


def read(reader: LogReader, run: SeenTaskRun, number: int) -> Iterator[Line]:
    """What the attempt has printed so far. Raises `LogUnavailable` that names the cure where it cannot be read."""
    if not over(run, number):
        yield from _of_pod(reader, run, number)
        return
    try:
        store, pieces = _pieces(reader, run, number)
    except (NoBucket, StoreError) as why:
        yield from _of_pod_instead(reader, run, number, why)
        return
    if pieces:
        yield from _of_bucket(store, pieces)
    else:
        yield from _of_pod(reader, run, number)


def follow(reader: LogReader, run: SeenTaskRun, number: int, count: int | None = None) -> Iterator[Line]:
    """What the attempt prints, as it prints it, to its end: from its beginning, or after the last `count` lines."""
    if over(run, number):
        yield from _ended(reader, run, number, count)
        return
    others = False
    while True:
        whose = _whose(reader, run, number)
        if whose is Whose.OTHERS and not others:
            others = True
            reader.note(_others(run, number))
        try:
            if whose is Whose.OWN:
                yield from reader.cluster.log(run.namespace, _pod(run, number), follow=True, tail=count)
                return
        except ClusterRefused as no:
            if no.status not in NOT_THERE:
                raise
        found = reader.cluster.run(run.name, run.namespace)
        if found is None:
            raise LogUnavailable(f"TaskRun '{run.name}' was deleted.")
        run = SeenTaskRun(found)
        if over(run, number):
            yield from _ended(reader, run, number, count)
            return
        time.sleep(LOOK_SECONDS)


def _ended(reader: LogReader, run: SeenTaskRun, number: int, count: int | None) -> Iterator[Line]:
    if count is None:
        yield from read(reader, run, number)
    else:
        yield from ((b"", text + b"\n") for text in tail(reader, run, number, count))


def tail(reader: LogReader, run: SeenTaskRun, number: int, count: int) -> list[bytes]:
    """The last lines, without their ends; of longer ones than 64 KiB the last pieces. Raises as `read`."""
    if not over(run, number):
        return _texts(_of_pod(reader, run, number, count), count)
    try:
        store, pieces = _pieces(reader, run, number)
    except (NoBucket, StoreError) as why:
        return _texts(_of_pod_instead(reader, run, number, why, count), count)
    data = b""
    for piece in reversed(pieces):
        data = store.get(piece.key) + data
        if data.count(b"\n") > count or len(data) > count * LONGEST:
            break
    return _texts(((b"", text) for text in cut(data) if text), count)


def _texts(lines: Iterator[Line], count: int) -> list[bytes]:
    return [text.removesuffix(b"\n") for _, text in last_lines(lines, count)]


def last_lines(lines: Iterator[Line], count: int) -> Iterator[Line]:
    """The last lines of a log that has an end; a piece of a long line counts as one, so that they are bounded."""
    return iter(deque(lines, maxlen=count))


def _pieces(reader: LogReader, run: SeenTaskRun, number: int) -> tuple[Store, list[ObjectInfo]]:
    because = f"The log of attempt {number} of TaskRun {run.namespace}/{run.name} is in the cluster's bucket"
    store, bucket = reader.bucket(run.namespace).open(because, INSTEAD)
    attempt = bucket.attempt(run.uid, number)
    return store, [info for info in store.list(attempt.log) if attempt.is_chunk(info.key)]


def _of_bucket(store: Store, pieces: list[ObjectInfo]) -> Iterator[Line]:
    """Lines across pieces; the time is that of the piece in which a line begins, for there is no other."""
    rest, began = b"", b""
    for piece in pieces:
        when = _rfc3339(piece.modified)
        began = began if rest else when
        *texts, rest = cut(rest + store.get(piece.key))
        for text in texts:
            yield began, text
            began = when if text.endswith(b"\n") else began
    if rest:
        yield began, rest + b"\n"


def _of_pod(reader: LogReader, run: SeenTaskRun, number: int, count: int | None = None) -> Iterator[Line]:
    """The pod's own log; nothing where the pod has not started, is gone, or is another object's."""
    whose = _whose(reader, run, number)
    if whose is Whose.OTHERS:
        reader.note(_others(run, number))
    if whose is not Whose.OWN:
        return
    try:
        yield from reader.cluster.log(run.namespace, _pod(run, number), tail=count)
    except ClusterRefused as no:
        if no.status not in NOT_THERE:
            raise


class Whose(enum.Enum):
    """Whose pod has the name of an attempt's."""

    NOBODYS = "there is none"
    OWN = "the run's"
    OTHERS = "another object's"


def _whose(reader: LogReader, run: SeenTaskRun, number: int) -> Whose:
    """A name can be anybody's: an orphan of an earlier run, a pod that somebody made. A UID cannot."""
    pod = reader.cluster.pod(run.namespace, _pod(run, number))
    if pod is None:
        return Whose.NOBODYS
    owners = pod.get("metadata", {}).get("ownerReferences") or ()
    own = any(owner.get("controller") is True and owner.get("uid") == run.uid for owner in owners)
    return Whose.OWN if own else Whose.OTHERS


def _pod(run: SeenTaskRun, number: int) -> str:
    """The name of an attempt's pod; of one that the status has no more, the name that it had if it was its own."""
    attempt = run.attempt(number)
    return own_pod_name(run.name, number) if attempt is None else pod_name(run.name, attempt)


def _others(run: SeenTaskRun, number: int) -> str:
    name = _pod(run, number)
    return (
        f"podtask: pod '{name}' belongs to another object than TaskRun '{run.name}', so its log is not shown"
        f" (kubectl --namespace {run.namespace} logs {name})."
    )


def _of_pod_instead(
    reader: LogReader, run: SeenTaskRun, number: int, why: Exception, count: int | None = None
) -> Iterator[Line]:
    if _whose(reader, run, number) is not Whose.OWN:
        raise LogUnavailable(str(why)) from why
    reader.note(f"podtask: from the pod, which keeps the newest 10 MB only. {why}")
    yield from _of_pod(reader, run, number, count)


def _rfc3339(seconds: float) -> bytes:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}".encode()
