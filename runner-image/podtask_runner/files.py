"""`File`: a file that travels as a file, streamed and never loaded, as an argument or as the result of a task.

Public as `podtask.File`. On a cluster the content goes through the bucket: an argument as one content-addressed
object, a result as the attempt's result object itself, raw, so that any tool reads it. Elsewhere only the path travels.
Before: user code. Next: `podtask_runner.attempt.execute` (results), `podtask_runner.attempt.loading` and the SDK
(arguments).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Any

from podtask_runner.names import FILE_LIMIT
from podtask_runner.names import FILE_REFERENCE as REFERENCE
from podtask_runner.storage.spool import file_digest, pieces


class File(os.PathLike[str]):
    """The file at `path`, as it is when it is passed on; do not change it afterwards.

    It is a path: `open(file)`, `pandas.read_csv(file)`. A task that gets one finds its content at `file.path`, under
    the name it had; on a cluster that is a copy for this attempt alone, elsewhere the very file. A task returns one by
    itself (`return File("model.bin")`), not inside of a list or another object, at most 5 GiB. Where `.result()` gives
    one, it lies in a folder of this process and is gone when the process ends: `file.save("here/model.bin")` keeps it.

    For caching a File counts by its content. Raises `FileNotFoundError`; `IsADirectoryError` or `ValueError` for what
    is not a regular file; `ValueError` for more than 5 GiB.
    """

    _hashed: tuple[tuple[int, int, int], str] | None = None
    """The digest, and of which state of the file it is."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        """Where it is on this machine."""
        self.check()

    @property
    def name(self) -> str:
        """The last part of the path; it travels along."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @property
    def digest(self) -> str:
        """sha256 of the content, lower-case hex; read when first asked for, and again when the file has changed."""
        found = self.path.stat()
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        if self._hashed is None or self._hashed[0] != stamp:
            self._hashed = (stamp, file_digest(self.path))
        return self._hashed[1]

    def open(self, mode: str = "rb") -> IO[Any]:
        """As `Path.open`."""
        return self.path.open(mode)

    def save(self, target: str | os.PathLike[str]) -> Path:
        """Copy the content to `target` (a folder: under its own name there); where it is now."""
        path = Path(target)
        path = path / self.name if path.is_dir() else path
        with path.open("wb") as copy:
            for piece in pieces(self.path):
                copy.write(piece)
        return path

    def check(self) -> None:
        """Raise what the class promises, with a sentence, unless the file can travel now."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            cure = "A file made in a `with` block of a temporary folder is gone when the block ends."
            raise FileNotFoundError(f"There is no file {str(self.path)!r} to pass on. {cure}") from None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(f"{str(self.path)!r} is a folder; pack it into one file (tar) to pass it on.")
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{str(self.path)!r} is not a regular file; only those can be passed on.")
        if found.st_size > FILE_LIMIT:
            raise ValueError(
                f"{str(self.path)!r} has {found.st_size} bytes; a file of at most {FILE_LIMIT} (5 GiB) can be passed "
                f"on: split it, or write it to your own bucket and pass its address."
            )

    def verified(self, digest: str) -> File:
        """The same, its digest having been verified by whoever made the file."""
        found = self.path.stat()
        self._hashed = ((found.st_size, found.st_mtime_ns, found.st_ino), digest)
        return self

    def __fspath__(self) -> str:
        return str(self.path)

    def __podtask_hash__(self) -> tuple[str, str]:
        return "podtask.File", self.digest

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, File) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"File({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Path]:
        """Only the path travels; whoever opens it will see whether the file is there."""
        return {"path": self.path}


class FileInside(TypeError):
    """A result holds a File somewhere inside."""

    def __init__(self, file: File) -> None:
        super().__init__(f"the result holds {file!r} inside of another object; a File can only be a result by itself")


def refuse(obj: object) -> None:
    """For the pickler of results. Raises `FileInside`."""
    if isinstance(obj, File):
        raise FileInside(obj)


def reference(file: File) -> str:
    """How the file is named in pickled arguments; reads it, for its digest."""
    return f"{REFERENCE}{file.digest}:{file.name}"


def split(ref: str) -> tuple[str, str] | None:
    """Digest and name of a reference, or None for a reference to something else."""
    if not ref.startswith(REFERENCE):
        return None
    digest, _, name = ref.removeprefix(REFERENCE).partition(":")
    return digest, plain_name(name)


def plain_name(name: str) -> str:
    """A name for a file of ours: one segment, whatever somebody wrote on the other side."""
    bare = Path(name.replace("\0", "")).name
    return bare if bare not in ("", ".", "..") else "file"


def place(folder: Path, name: str) -> Path:
    """A path of this name in a folder of its own below `folder`."""
    own = folder / os.urandom(6).hex()
    own.mkdir(mode=0o700, parents=True)
    return own / plain_name(name)
