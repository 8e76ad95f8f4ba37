"""What is there now of one kind of object: followed, in a thread of its own. Kept is a digest of each object.

    ResumableWatch ──page──> digests ──listed──> complete ──change──> changed ──(401, 403)──> refused: all is forgotten

While nobody answers, what is there stays, with a sentence about it. It ends by itself when nobody has asked for five
minutes. Asked by: `indexes`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from podtask.errors import PodtaskError
from podtask.kube.client import Object
from podtask.kube.errors import Busy, ClusterRefused, ClusterUnreachable
from podtask.kube.lister_watcher import ListerWatcher
from podtask.kube.resumable_watch import BOOKMARK, GONE, Change, Listed, Listing, Page, ResumableWatch, Watching

T = TypeVar("T")
WATCH_SECONDS = 120
"""After so long a watch is opened anew, and the viewer's rights are looked at again."""
IDLE_SECONDS = 300.0
LIMIT = 20_000
"""Objects; of more the first in the order of their names are there, which the page says."""
PAUSES = (0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while nobody answers."""
NO_SUCH_KIND, UNAUTHORIZED = 404, 401


@dataclass(frozen=True)
class ListProgress:
    """How far it is."""

    count: int
    complete: bool
    """The list was read to its end once."""
    cut: bool = False
    """There are more than `LIMIT`."""
    trouble: str | None = None
    """Why it is not up to date, as a sentence."""
    refused: bool = False
    unknown: PodtaskError | None = None
    """The API server does not know the viewer any more: their token has ended."""
    absent: bool = False
    """The cluster does not know this kind."""


class Reflector(Generic[T]):
    """Of one source. Thread-safe."""

    def __init__(self, source: ListerWatcher, digest: Callable[[Object], T]) -> None:
        self._watch = ResumableWatch(source, limit=LIMIT)
        self._listing: dict[str, T] = {}
        """What came so far of the list that is being read."""
        self._digest = digest
        self._lock = threading.Lock()
        self._objects: dict[str, T] = {}
        self._rows: tuple[T, ...] | None = None
        self._progress = ListProgress(0, complete=False)
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self._listeners: dict[object, Callable[[], object]] = {}
        self._version = 0
        self._used = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="reflector", daemon=True)

    def start(self) -> None:
        """Begin to list."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next chance."""
        self._stopped.set()

    @property
    def over(self) -> bool:
        """True where nothing comes any more."""
        return not self._thread.is_alive()

    @property
    def used(self) -> float:
        """When somebody asked last."""
        return self._used

    def rows(self) -> tuple[T, ...]:
        """What is there now."""
        self._used = time.monotonic()
        with self._lock:
            if self._rows is None:
                self._rows = tuple(self._objects.values())
            return self._rows

    def progress(self, wait: float = 0.0) -> ListProgress:
        """How far it is, after waiting for the whole list at most so many seconds."""
        self._settled.wait(wait)
        with self._lock:
            return self._progress

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    def listen(self, heard: Callable[[], object]) -> Callable[[], None]:
        """Call `heard`, in another thread, after every change; what comes back ends that."""
        key = object()
        with self._lock:
            self._listeners[key] = heard

        def end() -> None:
            with self._lock:
                self._listeners.pop(key, None)
            self._used = time.monotonic()

        return end

    def _run(self) -> None:
        try:
            for step in self._watch.follow(self._left, self._pause, self._stopped.wait):
                match step:
                    case Listing():
                        self._listing = {}
                    case Page(items):
                        self._page(items)
                    case Listed():
                        self._set(self._listing, ListProgress(len(self._listing), complete=True, cut=self._is_cut))
                        self._settled.set()
                    case Watching():
                        self._clear_trouble()
                    case Change(kind, obj) if kind != BOOKMARK:
                        self._changed(kind, obj)
                if self._left() <= 0:
                    return
        except ClusterRefused as no:
            self._refused(no)
        except Exception as error:  # noqa: BLE001 - a thread that ends without a word is a page that stands still
            self._refused(PodtaskError(f"The answer of the API server was not understood: {error!r}"))

    def _left(self) -> float:
        return 0.0 if self._stopped.is_set() or self._idle() else WATCH_SECONDS

    @property
    def _is_cut(self) -> bool:
        return len(self._listing) >= LIMIT

    def _page(self, items: list[Object]) -> None:
        for item in items:
            self._listing[str(item["metadata"]["uid"])] = self._digest(item)
        if not self._progress.complete:
            self._set(dict(self._listing), ListProgress(len(self._listing), complete=False, cut=self._is_cut))

    def _changed(self, kind: str, obj: Object) -> None:
        uid = str(obj["metadata"]["uid"])
        with self._lock:
            if kind == "DELETED":
                if self._objects.pop(uid, None) is None:
                    return
            elif uid in self._objects or len(self._objects) < LIMIT:
                digest = self._digest(obj)
                if self._objects.get(uid) == digest:
                    return
                self._objects[uid] = digest
            self._rows = None
            self._progress = ListProgress(len(self._objects), complete=True, cut=self._progress.cut)
        self._tell()

    def _set(self, objects: dict[str, T], progress: ListProgress) -> None:
        with self._lock:
            self._objects, self._rows, self._progress = objects, None, progress
        self._tell()

    def _clear_trouble(self) -> None:
        if self._progress.trouble is not None:
            with self._lock:
                self._progress = ListProgress(len(self._objects), complete=True, cut=self._progress.cut)
            self._tell()

    def _pause(self, error: ClusterRefused | ClusterUnreachable, failures: int) -> float:
        """Wait, and say why where it is the cluster. Raises a refusal that stays one."""
        if isinstance(error, ClusterRefused) and error.status != GONE and not isinstance(error, Busy):
            raise error
        if not (isinstance(error, ClusterRefused) and error.status == GONE):
            with self._lock:
                now = self._progress
                self._progress = ListProgress(now.count, now.complete, now.cut, trouble=str(error))
            self._settled.set()
            self._tell()
        return PAUSES[min(failures, len(PAUSES)) - 1]

    def _refused(self, error: PodtaskError) -> None:
        absent = getattr(error, "status", 0) == NO_SUCH_KIND
        unknown = error if getattr(error, "status", 0) == UNAUTHORIZED else None
        trouble = None if absent else str(error)
        self._set({}, ListProgress(0, complete=True, trouble=trouble, refused=True, unknown=unknown, absent=absent))
        self._settled.set()

    def _tell(self) -> None:
        with self._lock:
            self._version += 1
            listeners = list(self._listeners.values())
        for heard in listeners:
            heard()

    def _idle(self) -> bool:
        with self._lock:
            return not self._listeners and time.monotonic() - self._used > IDLE_SECONDS
