"""`podtask.File`, and where this process keeps the files it was given.

The class itself is the runner's (`podtask_runner.files`), so that pods need no SDK. What `.result()` downloads lies in
one private folder of this process, which is removed when the process ends. Used by: `podtask.engine.task_result`.
"""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from podtask_runner.files import File, place

__all__ = ["File", "named", "room"]

_folders: dict[int, Path] = {}
_lock = threading.Lock()


def room() -> Path:
    """A new path for something downloaded."""
    return _folder() / os.urandom(6).hex()


def named(content: Path, name: str, digest: str) -> File:
    """The content as a `File` of this name: a link to where it lies."""
    path = place(_folder(), name)
    path.symlink_to(content)
    return File(path).verified(digest)


def _folder() -> Path:
    import tempfile

    pid = os.getpid()  # a forked process has a folder of its own, and leaves that of its parent alone
    with _lock:
        if pid not in _folders:
            _folders[pid] = Path(tempfile.mkdtemp(prefix="podtask-files-"))
            atexit.register(_remove, pid)
        return _folders[pid]


def _remove(pid: int) -> None:
    import shutil

    if pid == os.getpid() and pid in _folders:
        shutil.rmtree(_folders.pop(pid), ignore_errors=True)
