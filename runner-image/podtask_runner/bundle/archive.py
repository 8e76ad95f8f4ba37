"""The archive that modules of a project travel in: a zip with a manifest, the same bytes for the same files.

    {module name: text}, data ──write──> bytes ── bucket, TaskRun, file ──> read ──> Contents ──> `bundle.finder`

Files lie by module name (`shop/etl.py`), wherever they stood at home: a project may have several roots. Nothing of
the machine that wrote the archive is in it: no times, no owners, no paths but those below the project. Nothing is
compressed inside, so an entry never holds more than it says; around the whole there may be gzip. Used by the SDK
(writing) and by the child.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podtask_runner.errors import InputCorrupted

MANIFEST: Final = "podtask-bundle.json"
FORMAT: Final = 1
LARGEST: Final = 256 * 1024 * 1024
"""Bytes of all files together. Larger data does not belong among code."""
_BEFORE_ALL: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say."""
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31
"""`wbits` of zlib: 15 for the window, 16 for a gzip header and trailer."""


@dataclass(frozen=True)
class Contents:
    """What an archive holds."""

    modules: Mapping[str, str]
    """Name of a module -> its file in the archive; of a package that is its `__init__.py`."""
    files: Mapping[str, bytes]
    """Every file by its path in the archive: texts, data, and metadata of distributions."""
    namespaces: frozenset[str] = frozenset()
    """Packages without a file of their own (PEP 420)."""
    extended: frozenset[str] = frozenset()
    """Packages that have parts in the image besides: those with an excluded module."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Name of a module -> sha256 of its text."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """File in the archive -> what people know it by, where that is another path below the project."""

    def is_package(self, name: str) -> bool:
        """Whether other modules can stand below this one."""
        return name in self.namespaces or self.modules[name].rpartition("/")[2] == "__init__.py"

    def __contains__(self, name: object) -> bool:
        return name in self.modules or name in self.namespaces


def path_of(name: str, *, package: bool) -> str:
    """Where the file of a module lies in an archive."""
    folder = name.replace(".", "/")
    return f"{folder}/__init__.py" if package else f"{folder}.py"


def write(
    modules: Mapping[str, str],
    files: Mapping[str, bytes],
    namespaces: Iterable[str] = (),
    extended: Iterable[str] = (),
    homes: Mapping[str, str] | None = None,
) -> bytes:
    """The archive. `modules` names the file of each, `files` holds them and all others. Raises `ValueError`."""
    if (size := sum(map(len, files.values()))) > LARGEST:
        raise ValueError(f"the files of the project have {size} bytes; {LARGEST} are the most that travel as code")
    for path in files:
        if not is_plain(path):
            raise ValueError(f"{path!r} cannot be the path of a file in a bundle")
    manifest = {
        "podtask-bundle": FORMAT,
        "modules": dict(sorted(modules.items())),
        "namespaces": sorted(namespaces),
        "extended": sorted(extended),
        **({"homes": dict(sorted(homes.items()))} if homes else {}),
    }
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
        for path, data in [(MANIFEST, text), *sorted(files.items())]:
            entry = zipfile.ZipInfo(path, _BEFORE_ALL)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def squeezed(data: bytes) -> bytes:
    """The archive as it is stored: compressed, without a time, so that the same archive is the same object."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(data) + packer.flush()


def read(data: bytes) -> Contents:
    """What an archive holds, compressed or not. Raises `InputCorrupted`: whoever may create TaskRuns can write one."""
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(_opened(data))) as archive:
            entries = archive.infolist()
            _check_entries([(entry.filename, entry.file_size, entry.compress_type) for entry in entries])
            files = {entry.filename: archive.read(entry) for entry in entries}
        manifest = json.loads(files.pop(MANIFEST))
        return _contents(manifest, files)
    except (
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        NotImplementedError,
    ) as why:
        raise InputCorrupted(f"The bundle with the project's modules cannot be read: {why!r}.") from None


def _contents(manifest: Any, files: dict[str, bytes]) -> Contents:
    if manifest["podtask-bundle"] > FORMAT:
        raise InputCorrupted(
            f"The bundle with the project's modules has format {manifest['podtask-bundle']}; this runner reads up to "
            f"{FORMAT}.",
            "Use a runner image that is at least as new as the SDK.",
        )
    modules = {str(name): str(path) for name, path in manifest["modules"].items()}
    texts = {name: hashlib.sha256(files[path]).hexdigest() for name, path in modules.items()}
    namespaces, extended = frozenset(map(str, manifest["namespaces"])), frozenset(map(str, manifest["extended"]))
    homes = {str(path): str(home) for path, home in manifest.get("homes", {}).items()}
    return Contents(modules, files, namespaces, extended, texts, homes)


def _check_entries(entries: list[tuple[str, int, int]]) -> None:
    left = LARGEST + (1 << 20)  # the manifest comes besides
    for path, size, compression in entries:
        left -= size
        if compression != 0 or left < 0 or not is_plain(path):
            raise ValueError(f"its entry {path[:100]!r} is none that podtask writes")
    if len({path for path, *_ in entries}) != len(entries):
        raise ValueError("it has the same entry twice")


def is_plain(path: str) -> bool:
    """Whether a path leads to a file below the folder that it is put into, on every system."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") and not set(part) & {"\\", "\0", ":"} for part in parts)


def _opened(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    opener = zlib.decompressobj(_GZIP_BITS)
    opened = opener.decompress(data, LARGEST + (64 << 20))  # the directory of a zip comes besides
    if not opener.eof:
        raise ValueError("it is larger than it may be, or ends too early")
    return opened
