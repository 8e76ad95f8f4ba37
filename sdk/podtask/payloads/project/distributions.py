"""What `importlib.metadata` says of the project itself, where the project is installed editable.

`__version__ = version("shop")` at the top of a package is what packaging guides teach; in a pod it needs the metadata.
Only METADATA and entry_points.txt: the other files of an installation name paths of this machine.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

_KEPT: Final = ("METADATA", "entry_points.txt")
_PACKAGES: Final = frozenset({"site-packages", "dist-packages"})


def files_of(folders: Iterable[Path]) -> dict[str, bytes]:
    """The metadata of all editable distributions that have one of these folders or files, as files of a bundle."""
    places = list(folders)
    found: dict[str, bytes] = {}
    for name, root, kept in _editable():
        if any(root in (place, *place.parents) for place in places):
            found.update({f"{name}/{file}": data for file, data in kept.items()})
    return found


@functools.cache
def _editable() -> tuple[tuple[str, Path, dict[str, bytes]], ...]:
    """`shop-1.0.dist-info`, the folder of its project, and the files, of every editable distribution."""
    found = []
    for each in metadata.distributions():
        root = _root(each)
        text = each.read_text("METADATA") or each.read_text("PKG-INFO")
        name = each.metadata["Name"] if text else None
        if root is None or not text or not name:
            continue
        folder = f"{name.replace('-', '_')}-{each.version}.dist-info"
        texts = {"METADATA": text, "entry_points.txt": each.read_text("entry_points.txt")}
        found.append((folder, root, {file: text.encode() for file in _KEPT if (text := texts[file])}))
    return tuple(found)


def _root(distribution: metadata.Distribution) -> Path | None:
    """The folder of the project; None for a distribution that is installed as a copy."""
    direct = distribution.read_text("direct_url.json")
    if direct:
        import json
        from urllib.parse import unquote, urlsplit

        told = json.loads(direct)
        if told.get("dir_info", {}).get("editable"):
            return Path(unquote(urlsplit(told["url"]).path))
        return None
    place = Path(str(distribution.locate_file("")))
    return place if _PACKAGES.isdisjoint(place.parts) else None  # an egg-info beside the sources
