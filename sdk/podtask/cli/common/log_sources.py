"""Where the output of an attempt is: in its pod while that runs, in the bucket for ever after.

    pod log API    live, behind a time per line; the kubelet keeps the newest 10 MB only and drops it with the pod
    bucket         runs/<uid>/<n>/log/000001, …: all of it, in pieces of up to 256 KiB, seconds late

So an attempt that is over is read from the bucket, and from its pod only where the bucket cannot be used from here.
Nothing is held in memory beyond one piece and, of a line that does not end, 64 KiB. Asked by: `logs`, `describing`.
"""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from podtask.cli.common.exits import CommandFailed
from podtask.cli.common.log_lines import LONGEST, Line, cut
from podtask.cli.common.session import Session, note
from podtask.cli.common.task_run import Seen
from podtask.core.storage.base import StoreError
from podtask.core.storage.layout import pod_name
from podtask.kube.bucket_access import NoBucket
from podtask.kube.errors import ClusterRefused

if TYPE_CHECKING:
    from podtask.core.storage import ObjectInfo, Store

INSTEAD = "read it while the pod is there"
LOOK_SECONDS = 1.0
"""Between two looks at a pod that has not started."""
NOT_THERE = (400, 404)
"""What the API server answers about a pod that has not started, or is gone."""


def over(run: Seen, number: int) -> bool:
    """True once the attempt is judged; older ones than the status keeps are."""
    attempt = run.attempt(number)
    return attempt.judged if attempt else run.finished or number < run.status.attempts_total


def read(session: Session, run: Seen, number: int) -> Iterator[Line]:
    """What the attempt has printed so far. Raises `CommandFailed` that names the cure where it cannot be read."""
    if not over(run, number):
        yield from _of_pod(session, run, number)
        return
    try:
        store, pieces = _pieces(session, run, number)
    except (NoBucket, StoreError) as why:
        yield from _of_pod_instead(session, run, number, why)
        return
    if pieces:
        yield from _of_bucket(store, pieces)
    else:
        yield from _of_pod(session, run, number)


def follow(session: Session, run: Seen, number: int) -> Iterator[Line]:
    """What the attempt prints, as it prints it, from its beginning to its end."""
    if over(run, number):
        yield from read(session, run, number)
        return
    others = False
    while True:
        whose = _whose(session, run, number)
        if whose is Whose.OTHERS and not others:
            others = True
            note(_others(run, number))
        try:
            if whose is Whose.OWN:
                yield from session.cluster.log(run.namespace, pod_name(run.name, number), follow=True)
                return
        except ClusterRefused as no:
            if no.status not in NOT_THERE:
                raise
        found = session.cluster.run(run.name, run.namespace)
        if found is None:
            raise CommandFailed(f"TaskRun '{run.name}' was deleted.")
        run = Seen(found)
        if over(run, number):
            yield from read(session, run, number)
            return
        time.sleep(LOOK_SECONDS)


def tail(session: Session, run: Seen, number: int, count: int) -> list[bytes]:
    """The last lines, without their ends; of longer ones than 64 KiB the last pieces. Raises as `read`."""
    if not over(run, number):
        return _texts(_of_pod(session, run, number, count), count)
    try:
        store, pieces = _pieces(session, run, number)
    except (NoBucket, StoreError) as why:
        return _texts(_of_pod_instead(session, run, number, why, count), count)
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


def _pieces(session: Session, run: Seen, number: int) -> tuple[Store, list[ObjectInfo]]:
    because = f"The log of attempt {number} of TaskRun {run.namespace}/{run.name} is in the cluster's bucket"
    store, bucket = session.bucket(run.namespace).open(because, INSTEAD)
    return store, list(store.list(bucket.attempt(run.uid, number).log))


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


def _of_pod(session: Session, run: Seen, number: int, count: int | None = None) -> Iterator[Line]:
    """The pod's own log; nothing where the pod has not started, is gone, or is another object's."""
    whose = _whose(session, run, number)
    if whose is not Whose.OWN:
        note(_others(run, number)) if whose is Whose.OTHERS else None
        return
    try:
        yield from session.cluster.log(run.namespace, pod_name(run.name, number), tail=count)
    except ClusterRefused as no:
        if no.status not in NOT_THERE:
            raise


class Whose(enum.Enum):
    """Whose pod has the name of an attempt's."""

    NOBODYS = "there is none"
    OWN = "the run's"
    OTHERS = "another object's"


def _whose(session: Session, run: Seen, number: int) -> Whose:
    """A name can be anybody's: an orphan of an earlier run, a pod that somebody made. A UID cannot."""
    pod = session.cluster.pod(run.namespace, pod_name(run.name, number))
    if pod is None:
        return Whose.NOBODYS
    owners = pod.get("metadata", {}).get("ownerReferences") or ()
    own = any(owner.get("controller") is True and owner.get("uid") == run.uid for owner in owners)
    return Whose.OWN if own else Whose.OTHERS


def _others(run: Seen, number: int) -> str:
    name = pod_name(run.name, number)
    return (
        f"podtask: pod '{name}' belongs to another object than TaskRun '{run.name}', so its log is not shown"
        f" (kubectl --namespace {run.namespace} logs {name})."
    )


def _of_pod_instead(
    session: Session, run: Seen, number: int, why: Exception, count: int | None = None
) -> Iterator[Line]:
    if _whose(session, run, number) is not Whose.OWN:
        raise CommandFailed(str(why)) from why
    note(f"podtask: from the pod, which keeps the newest 10 MB only. {why}")
    yield from _of_pod(session, run, number, count)


def _rfc3339(seconds: float) -> bytes:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}".encode()
