"""A folder as a store: the laptop's default, and the process backend's. Safe for many processes at once.

An object is a plain file at `<root>/<key>`, readable with any tool. It is written beside (`<root>/.tmp`) and
moved in by one rename, or by one hard link where the key must be free: readers see all of it or nothing, and
of many writers one wins. No fsync: after a power cut an attempt is run again.

The ETag is the sha256 of the content, because size and time cannot tell a rewritten file from the old one.
It is kept in an extended attribute, beside the size and time it was computed for, so HEAD and LIST read no
content; a file that came otherwise (the runner writes `file://` grants itself) is hashed once, and every
time on a file system without attributes. What a killed runner left half-written beside its target is listed
like an object, so the sweep finds and removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from podtask.core.storage.base import (
    AlreadyStored,
    NotStored,
    ObjectInfo,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    checked_grant_prefix,
    checked_key,
    checked_prefix,
)
from podtask_runner.protocol import LogPost, Put
from podtask_runner.storage.spool import Digesting, pieces

_TEMP: Final = ".tmp"
_LEFTOVER_SECONDS: Final = 24 * 3600
_ATTRIBUTE: Final = "user.podtask.etag"
_MAY_PASS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.EBUSY}
_NO_SUCH_FILE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryStore:
    """`Store` in a folder, made on the first write, private to its user: whoever writes pickles there runs code."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self._temp = self.root / _TEMP
        self._drop_leftovers(time.time() - _LEFTOVER_SECONDS)

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        path = _path(self.root, key)
        with self._asking("read", key):
            try:
                with path.open("rb") as stream:
                    return stream.read(limit)
            except _NO_SUCH_FILE:
                raise NotStored(f"no object {key!r} in {self.root}") from None

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        return self._put(key, [data], if_absent=if_absent)

    def put_file(self, key: str, path: Path, *, if_absent: bool = False) -> str:
        return self._put(key, pieces(path), if_absent=if_absent)

    def download(self, key: str, path: Path) -> str:
        where = self.where(key)
        with self._asking("read", key), path.open("wb") as stream:
            passed = Digesting(stream)
            for piece in pieces(where):
                passed.write(piece)
        return passed.digest

    def where(self, key: str) -> Path:
        """The file that holds the object: to be read in place, never changed. Raises `NotStored`."""
        path = _path(self.root, key)
        if not path.is_file():
            raise NotStored(f"no object {key!r} in {self.root}")
        return path

    def _put(self, key: str, data: Iterable[bytes], *, if_absent: bool) -> str:
        path = _path(self.root, key)
        with self._asking("write", key):
            if if_absent and path.is_file():  # spares writing a large object twice; the link below decides
                raise AlreadyStored(f"{key!r} is in {self.root} already")
            temporary, etag = self._write(data)
            try:
                self._move_in(temporary, path, key, if_absent=if_absent)
            finally:
                temporary.unlink(missing_ok=True)
        return etag

    def head(self, key: str) -> ObjectInfo | None:
        path = _path(self.root, key)
        with self._asking("look at", key):
            return _info(path, key)

    def delete(self, key: str) -> None:
        path = _path(self.root, key)
        with self._asking("delete", key):
            if path.is_dir():  # a folder is no object
                return
            try:
                path.unlink()
            except _NO_SUCH_FILE:
                return
            with suppress(OSError):  # the last object takes its folders along
                for folder in path.relative_to(self.root).parents[:-1]:
                    (self.root / folder).rmdir()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, slash, start = checked_prefix(prefix).rpartition("/")
        with self._asking("list", prefix):
            yield from self._walk(folder + slash, start)

    def _walk(self, folder: str, start: str) -> Iterator[ObjectInfo]:
        """Objects below `folder` (empty, or ending with a slash), in the order of their keys."""
        try:
            with os.scandir(self.root / folder) as entries:
                names = [entry.name + "/" * entry.is_dir() for entry in entries if entry.name.startswith(start)]
        except _NO_SUCH_FILE:
            return
        for name in sorted(names):  # with its slash a folder sorts where its keys belong: `a-b`, `a/c`, `a0`
            if name == _TEMP + "/" and not folder:
                continue
            if name.endswith("/"):
                yield from self._walk(folder + name, "")
            elif info := _info(self.root / folder / name, folder + name):
                yield info

    def _write(self, data: Iterable[bytes]) -> tuple[Path, str]:
        """A complete file beside the objects, and its ETag. What goes wrong on the way leaves nothing."""
        _make_folder(self.root, self._temp)
        descriptor, name = tempfile.mkstemp(dir=self._temp)
        try:
            with os.fdopen(descriptor, "wb") as file:
                passed = Digesting(file)
                for piece in data:
                    passed.write(piece)
                file.flush()
                _remember(file.fileno(), os.fstat(file.fileno()), passed.digest)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name), passed.digest

    def _move_in(self, temporary: Path, path: Path, key: str, *, if_absent: bool) -> None:
        for _ in range(100):
            if self._moved(temporary, path, key, if_absent=if_absent):
                return
        raise StoreUnavailable(f"cannot write {key!r} in {self.root}: its folder is removed again and again")

    def _moved(self, temporary: Path, path: Path, key: str, *, if_absent: bool) -> bool:
        """False: a delete elsewhere removed the empty folder in between (which mkdir may report as "exists")."""
        try:
            _make_folder(self.root, path.parent)
            if if_absent:
                os.link(temporary, path)
            else:
                temporary.replace(path)
        except (FileExistsError, *_NO_SUCH_FILE):
            if path.is_dir() or any((self.root / folder).is_file() for folder in path.relative_to(self.root).parents):
                sentence = "one key is a folder of another, and a file is not a folder"
                raise StoreError(f"cannot write {key!r} in {self.root}: {sentence}") from None
            if if_absent and path.is_file():
                raise AlreadyStored(f"{key!r} is in {self.root} already") from None
            return False
        return True

    @contextmanager
    def _asking(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, type(error).__name__)
            kind = StoreUnavailable if error.errno in _MAY_PASS else StoreRefused
            cure = "choose a folder this user may write, on a file system with hard links (PODTASK_HOME, PODTASK_STORE)"
            if error.errno in _MAY_PASS:
                cure = "make room or free what is used up on this machine; it is worth another try then"
            raise kind(f"cannot {verb} {key!r} in {self.root}: {error.strerror or error}; {cure}", code=code) from error

    def _drop_leftovers(self, before: float) -> None:
        """Temporary files of processes that were killed while writing."""
        with suppress(OSError), os.scandir(self._temp) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.stat().st_mtime < before:
                        Path(entry.path).unlink()


class DirectorySigner:
    """`Signer` of `file://` URLs: nothing is signed, they only work for processes of the same user.

    A Put has no headers; the runner treats a second write to an existing target as taken, unless it means to replace.
    Folders are made here.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()

    def sign_get(self, key: str, seconds: float) -> str:
        del seconds  # a path does not expire
        return _path(self.root, key).as_uri()

    def sign_put(self, key: str, seconds: float, *, once: bool = True) -> Put:
        del once  # who writes says so
        _make_folder(self.root, _path(self.root, key).parent)
        return Put(self.sign_get(key, seconds))

    def sign_post(self, prefix: str, max_bytes: int, seconds: float) -> LogPost:
        """The root folder as URL: a chunk is the file `<url>/<prefix><name>`."""
        del seconds
        _make_folder(self.root, _path(self.root, checked_grant_prefix(prefix) + "0").parent)
        return LogPost(self.root.as_uri(), prefix, max_bytes)

    def credentials_expire_at(self) -> None:
        """There are none."""


def _path(root: Path, key: str) -> Path:
    if checked_key(key).startswith(_TEMP + "/"):
        raise ValueError(f"not an object key here: {key[:80]!r}; {_TEMP}/ holds unfinished writes")
    return root / key


def _make_folder(root: Path, folder: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def _info(path: Path, key: str) -> ObjectInfo | None:
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            etag = _remembered(file.fileno(), stat)
            if etag is None:
                digest = hashlib.sha256()
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                etag = digest.hexdigest()
                _remember(file.fileno(), stat, etag)  # what was true before reading: it may still be growing
    except _NO_SUCH_FILE:
        return None
    return ObjectInfo(key, stat.st_size, etag, stat.st_mtime)


def _remember(descriptor: int, stat: os.stat_result, etag: str) -> None:
    with suppress(OSError, AttributeError):  # no attributes on this file system; no such call on macOS
        os.setxattr(descriptor, _ATTRIBUTE, f"{stat.st_size} {stat.st_mtime_ns} {etag}".encode())


def _remembered(descriptor: int, stat: os.stat_result) -> str | None:
    with suppress(OSError, AttributeError, ValueError):
        size, mtime_ns, etag = os.getxattr(descriptor, _ATTRIBUTE).decode().split(" ")
        if (size, mtime_ns) == (str(stat.st_size), str(stat.st_mtime_ns)):
            return etag
    return None
