"""How a file of the user's is called where people read of it: as in the project, wherever the file lies here.

    /home/ada/proj/src/shop/etl.py            src/shop/etl.py     below the working directory
    /home/ada/lib/shop/etl.py                 shop/etl.py         below an entry of sys.path
    /tmp/podtask-x1/shop/etl.py (a bundle)    src/shop/etl.py     as the driver called it

Files of the standard library and of installed packages keep their paths, and so does what is in no project. Noted by
`podtask_runner.bundle.finder` and `podtask_runner.pickled_names`; used for tracebacks (`serialization.exceptions`).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Final

from podtask_runner.hashing import modules

_files: Final[dict[str, str]] = {}
"""Files of code that came from elsewhere, as they were called there."""
_folders: Final[dict[str, Mapping[str, str]]] = {}
"""Folders of bundles; by the path in the folder, what differs from that."""
_MACHINERY: Final = (os.path.dirname(__file__) + os.sep, "<frozen importlib")  # noqa: PTH120 - compared as text
"""Frames of the runner, and of imports: what is left are those of the user's and of libraries."""


def note_file(file: str, shown: str) -> None:
    """Code of this file came with the name that it has in its project."""
    if shown:
        _files.setdefault(file, shown)


def note_folder(folder: str, homes: Mapping[str, str]) -> None:
    """A bundle was unpacked there."""
    _folders[folder.rstrip(os.sep) + os.sep] = homes


def shown(file: str) -> str:
    """What people read; the file itself where it is in no project."""
    if file in _files:
        return _files[file]
    for folder, homes in _folders.items():
        if file.startswith(folder):
            inside = file[len(folder) :]
            return homes.get(inside, inside)
    return relative(file) or file


def relative(file: str) -> str | None:
    """From the working directory, or else from the entry of `sys.path` that the file is below; None for others."""
    if not file.startswith(os.sep) or not modules.is_own("", file):
        return None
    try:
        here = os.getcwd()  # noqa: PTH109 - a string, as all of them are
    except OSError:  # it is gone
        here = ""
    entries = sorted({entry for entry in sys.path if entry.startswith(os.sep)}, key=len, reverse=True)
    for root in (here, *entries):
        inside = root.rstrip(os.sep) + os.sep
        if inside != os.sep and file.startswith(inside):
            return file[len(inside) :]
    return None


def in_text(text: str) -> str:
    """Without the folders of bundles, which mean nothing to anybody."""
    for folder, homes in _folders.items():
        if folder in text:
            for path, home in homes.items():
                text = text.replace(folder + path, home)
            text = text.replace(folder, "")
    return text


def rename(error: Any) -> None:
    """Call the files of a `traceback.TracebackException`, and of all that are linked to it, as people know them.

    Frames of podtask's own are left out.
    """
    waiting, seen = [error], {id(error)}
    for each in waiting:
        if own := [frame for frame in each.stack if not frame.filename.startswith(_MACHINERY)]:
            each.stack[:] = own
        for frame in each.stack:
            frame.filename = shown(frame.filename)
        file = getattr(each, "filename", None)  # of a SyntaxError
        if isinstance(file, str):
            each.filename = shown(file)
        for link in (each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())):
            if isinstance(link, traceback.TracebackException) and id(link) not in seen:
                seen.add(id(link))
                waiting.append(link)
