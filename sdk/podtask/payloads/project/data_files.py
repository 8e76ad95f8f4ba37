"""Data that lies beside modules and travels with them: `data=["shop/rates/*.json"]`, patterns below a package.

A pattern begins with a package of the project, because the pod has no other folder of it. Where a program does not use
that package, as another script of the same folder may not, nothing of it travels. Links, `..`, and files that
hold secrets by their name never travel by a pattern.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from podtask.errors import SettingsError
from podtask.payloads.project.collect import Collected

_NEVER: Final = (".*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "*.py", "*.pyc", "__pycache__")
"""Names of files and folders. Modules travel by themselves."""


def files_of(patterns: tuple[str, ...], collected: Collected) -> dict[str, bytes]:
    """The data by its path in the bundle. Raises `SettingsError` for a pattern that leads to nothing."""
    files: dict[str, bytes] = {}
    for pattern in patterns:
        split = _split(pattern, collected)
        if split is None:
            continue
        package, rest = split
        matched = {path: file for folder in collected.folders[package] for path, file in _matching(folder, rest)}
        if not matched:
            raise SettingsError(f"data: no file of the package '{package}' matches {pattern!r}")
        prefix = package.replace(".", "/")
        files.update({f"{prefix}/{path}": file.read_bytes() for path, file in matched.items()})
    return files


def _split(pattern: str, collected: Collected) -> tuple[str, str] | None:
    """The longest package that a pattern begins with, and what comes behind; None where the program does not use it."""
    parts = pattern.split("/")
    if ".." in parts or pattern.startswith("/"):
        raise SettingsError(f"data: {pattern!r} must be below a package of the project, without '..'")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if name in collected.folders:
            return name, "/".join(parts[end:])
    if len(parts) > 1 and _is_unused(parts[0]):
        return None
    raise SettingsError(
        f"data: {pattern!r} does not begin with a package of the project, such as 'shop/rates/*.json' for files in "
        f"the folder rates of the package shop"
    )


def _is_unused(name: str) -> bool:
    """Whether there is a package of this name that nothing has imported; a folder without modules is none."""
    spec = importlib.util.find_spec(name) if name.isidentifier() and name not in sys.modules else None
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return any(next(Path(folder).rglob("*.py"), None) is not None for folder in folders)


def _matching(folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.glob(pattern)):
        path = file.relative_to(folder)
        below = [folder.joinpath(*path.parts[:end]) for end in range(1, len(path.parts) + 1)]
        secret = any(fnmatch(part, never) for part in path.parts for never in _NEVER)
        if file.is_file() and not secret and not any(each.is_symlink() for each in below):
            yield path.as_posix(), file
