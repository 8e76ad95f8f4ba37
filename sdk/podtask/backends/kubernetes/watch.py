"""One watch per flow run: status changes of its TaskRuns, as long as any of them is in flight.

    ResumableWatch ──step──> Watch.round ──tell(run, status)──> backend ──> run.report

It starts at the version of the first POST, so nothing is listed; after a gap too long for the server (410 Gone) a list
also shows what was deleted meanwhile. `round` holds all of the logic and waits for nothing but the source; the thread
that calls it is `Watcher`'s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from podtask.backends.kubernetes.patience import WatchPatience
from podtask.core import clock
from podtask.core.api.names import Reason, State
from podtask.core.api.status import ErrorInfo, Status
from podtask.kube import status_json
from podtask.kube.errors import INSTALL, ClusterRefused, ClusterUnreachable
from podtask.kube.lister_watcher import ListerWatcher
from podtask.kube.resumable_watch import GONE, Change, Listed, Listing, ResumableWatch

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun

log = logging.getLogger("podtask.backends")
Object = dict[str, Any]

ROUND_SECONDS = 55
"""Life of one watch connection: a dead one is noticed about so late."""
SILENCE_SECONDS = 15
"""After so long without a word of the operator, people want to know."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
REFUSALS = 6
"""Refusals in a row after which nothing can be known any more; a missing right does not come back by waiting."""
REFUSED_FOR_GOOD = frozenset({401, 403, 404})


@dataclass
class Followed:
    """A run in flight."""

    run: TaskRun
    uid: str | None = None
    """Of its TaskRun; None until the POST was answered."""
    since: float = 0.0
    """When it was answered, by the monotonic clock."""
    heard: bool = False
    """Whether the operator has written any status."""
    early: Object | None = None
    """News that came before the answer: perhaps of another call's TaskRun of this name."""


Tell = Callable[["TaskRun", Status], None]


class Watch:
    """The runs of one flow run that are in flight, and what is known of them."""

    def __init__(self, source: ListerWatcher, tell: Tell, monotonic: Callable[[], float]) -> None:
        self._watch = ResumableWatch(source, monotonic=monotonic)
        self._tell = tell
        self._monotonic = monotonic
        self._open: dict[str, Followed] = {}
        self._pause = SHORTEST_PAUSE
        self._refusals = 0
        self._patience = WatchPatience(monotonic)
        self._warned = False
        self._complained = False
        self._begun = False
        """Whether any round was begun: from then on, where no version is known, only a list tells what was missed."""
        self.lock = threading.RLock()

    def expect(self, run: TaskRun) -> None:
        """Follow the run; before its POST, so that no event is missed."""
        with self.lock:
            self._open[run.id] = Followed(run)

    def posted(self, run: TaskRun, obj: Object) -> None:
        """The TaskRun exists, as in `obj`."""
        meta = obj["metadata"]
        with self.lock:
            followed = self._open.get(run.id)
            if followed is None:
                return
            followed.uid, followed.since = meta["uid"], self._monotonic()
            # With another POST under way its object may be the older one; then the first round lists.
            alone = all(other.uid is not None for other in self._open.values())
            if alone and not self._begun and not self._watch.version:
                self._watch.version = str(meta["resourceVersion"])
        self.take(obj)
        if followed.early is not None and followed.early["metadata"]["uid"] == followed.uid:
            self.take(followed.early)

    def drop(self, run: TaskRun) -> None:
        """Stop following a run that was not created."""
        with self.lock:
            self._open.pop(run.id, None)

    @property
    def idle(self) -> bool:
        """True when nothing is in flight."""
        return not self._open

    def round(self) -> float | None:
        """One connection, until it ends. Answers the pause before the next, None when nothing is in flight."""
        with self.lock:
            self._begun = True
        try:
            self._follow()
        except ClusterRefused as no:
            if no.status == GONE:
                return None if self.idle else 0.0
            return self._refused(no)
        except ClusterUnreachable as error:
            return self._later(error)
        except Exception as error:
            log.exception("podtask could not read the cluster's news; trying on")
            self._watch.version = ""  # what could not be read is not asked for again
            return self._lose(self._patience.over_by_unforeseen(error), error, LONGEST_PAUSE)
        self._patience.ended_well()
        self._warn_of_silence()
        return None if self.idle else self._watch.pause

    def take(self, obj: Object) -> None:
        """Take in an event of the watch."""
        with self.lock:
            followed = self._open.get(obj["metadata"]["name"])
            if followed is None:
                return
            if followed.uid is None:
                followed.early = obj
                return
        if obj["metadata"]["uid"] != followed.uid:
            self._end(followed, deleted(followed.run, "was deleted, and another one has its name now"))
            return
        try:
            status = status_json.read(obj)
        except ValueError as error:
            log.warning("The status of TaskRun %s cannot be read: %s", followed.run.id, error)
            return
        if status.finished:
            self._end(followed, status)
        elif obj.get("status"):
            followed.heard = True
            self._tell(followed.run, status)

    def _follow(self) -> None:
        known: list[str] = []
        with closing(self._watch.connection(self._seconds)) as steps:
            for step in steps:
                match step:
                    case Listing():
                        known = self._posted()
                    case Listed(items):
                        for obj in items:
                            self.take(obj)
                        there = {obj["metadata"]["name"] for obj in items}
                        self._deleted([name for name in known if name not in there])
                    case Change(kind, obj):
                        self._recovered()
                        self._event(kind, obj)
                        if self.idle:
                            return
        self._recovered()

    def _event(self, kind: str, obj: Object) -> None:
        if kind in ("ADDED", "MODIFIED"):
            self.take(obj)
        elif kind == "DELETED":
            self.take(obj)  # its last status may be an end
            self._deleted([obj["metadata"]["name"]])

    def _seconds(self) -> float:
        return SILENCE_SECONDS if self._unheard() and not self._warned else ROUND_SECONDS

    def _posted(self) -> list[str]:
        with self.lock:
            return [name for name, followed in self._open.items() if followed.uid is not None]

    def _deleted(self, names: list[str]) -> None:
        for name in names:
            with self.lock:
                followed = self._open.get(name)
            if followed is not None and followed.uid is not None:
                self._end(followed, deleted(followed.run, "was deleted before it finished"))

    def _end(self, followed: Followed, status: Status) -> None:
        with self.lock:
            if self._open.pop(followed.run.id, None) is None:
                return
        self._tell(followed.run, status)

    def _recovered(self) -> None:
        self._patience.answered()
        self._pause, self._refusals, self._complained = SHORTEST_PAUSE, 0, False

    def _refused(self, no: ClusterRefused) -> float | None:
        self._refusals += no.status in REFUSED_FOR_GOOD
        if self._refusals < REFUSALS:
            return self._later(no)
        return self._lose(str(no), no, 0.0)

    def _lose(self, why: str | None, error: Exception, pause: float) -> float | None:
        """The end of all runs for this process, if there is a reason; else the pause."""
        if why is None:
            return None if self.idle else pause
        with self.lock:
            lost = list(self._open.values())
        for followed in lost:
            self._end(followed, lost_sight(followed.run, why, error))
        return None

    def _later(self, error: Exception) -> float | None:
        if self._pause >= LONGEST_PAUSE and not self._complained:
            self._complained = True
            log.warning("The cluster's news cannot be followed; trying on. %s", error)
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return self._lose(self._patience.over_by(error), error, pause)

    def _unheard(self) -> list[Followed]:
        with self.lock:
            return [followed for followed in self._open.values() if followed.uid is not None and not followed.heard]

    def _warn_of_silence(self) -> None:
        now = self._monotonic()
        silent = [followed for followed in self._unheard() if now - followed.since >= SILENCE_SECONDS]
        if silent and not self._warned:
            self._warned = True
            log.warning(
                "Nothing has happened to TaskRun %s for %d s: is the operator running? "
                "kubectl get pods -A -l app.kubernetes.io/name=podtask; if there is none: %s",
                silent[0].run.id,
                now - silent[0].since,
                INSTALL,
            )


class Watcher:
    """The thread of a `Watch`. It runs while a run is in flight."""

    def __init__(self, watch: Watch, name: str) -> None:
        self.watch = watch
        self._name = name
        self._running = False
        self._closed = threading.Event()

    def wake(self) -> None:
        """Start the thread where it does not run."""
        with self.watch.lock:
            if not self._running and not self.watch.idle:
                self._running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def close(self) -> None:
        """End the thread after the current connection."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            pause = self.watch.round()
            with self.watch.lock:
                if pause is None and self.watch.idle:
                    self._running = False
                    return
            self._closed.wait(pause or 0.0)


def deleted(run: TaskRun, how: str) -> Status:
    """The status of a run whose TaskRun was deleted."""
    text = f"TaskRun {run.id} {how}; run the flow again."
    return replace(
        run.status, state=State.CANCELLED, reason=Reason.CANCELLED, message=text, error=None, finished_at=clock.now()
    )


def lost_sight(run: TaskRun, why: str, cause: Exception) -> Status:
    """The status of a run that this process cannot follow any more. It may go on in the cluster."""
    text = f"TaskRun {run.id} cannot be followed any more: {why}"
    error = ErrorInfo(type(cause).__name__, text)
    return replace(
        run.status, state=State.CRASHED, reason=Reason.CRASHED, message=text, error=error, finished_at=clock.now()
    )
