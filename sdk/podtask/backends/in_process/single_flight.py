"""Who goes first for a cache key, among the processes of this machine: a lock file per key, locked while a run leads.

The lock is the system's (`fcntl`), so it vanishes with its process, however that ends; the text in the file only says
who has it. Within a process the first run of a key leads (`podtask.backends.in_process.result_cache`); it asks here
before it starts.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Final

log = logging.getLogger("podtask.cache")

_HELD: Final[dict[Path, tuple[str, int]]] = {}
"""Lock file -> run and descriptor. POSIX locks belong to the process: here, one per process, whichever backend asks."""
_GUARD = threading.Lock()


class Flights:
    """The lock files of one home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def lead(self, key: str, run_id: str) -> str | None:
        """Try to lead. Returns the leader, or None where this run leads, until `land`."""
        path = self._path(key)
        with _GUARD:
            if path in _HELD:
                leader = _HELD[path][0]
                return None if leader == run_id else leader
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                found = _lock(path, run_id)
            except OSError as error:  # such as a read-only home: identical runs of other processes are not noticed
                log.debug("There is no lock for cache key %s: %s", key, error)
                return None
            if isinstance(found, str):
                return found
            _HELD[path] = (run_id, found)
            return None

    def land(self, key: str, run_id: str) -> None:
        """The run does not lead any more."""
        path = self._path(key)
        with _GUARD:
            if path in _HELD and _HELD[path][0] == run_id:
                _, descriptor = _HELD.pop(path)
                path.unlink(missing_ok=True)  # before it is unlocked: who has it open sees that it is gone
                os.close(descriptor)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()


def _lock(path: Path, run_id: str) -> int | str:
    """The descriptor of the locked file, or who has it locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows both
            said = os.read(descriptor, 200).decode(errors="replace")
            os.close(descriptor)
            return said or "of another process"
        except OSError:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{run_id} (process {os.getpid()})".encode())
            return descriptor
        os.close(descriptor)  # its leader landed between our open and our lock


def _born() -> None:
    """A forked child has none of its parent's locks."""
    global _GUARD  # noqa: PLW0603 - a thread of the parent may have held it
    _GUARD = threading.Lock()
    _HELD.clear()


os.register_at_fork(after_in_child=_born)
