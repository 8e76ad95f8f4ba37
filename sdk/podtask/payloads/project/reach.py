"""What a call needs besides the project: the installed modules that its modules import, surely or perhaps.

From the modules that its code and its arguments name, along the imports of their texts. A module that a text needs as
soon as it is imported must be in the image; one that it imports inside of `try`, `if` or a function may be absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES

from podtask.payloads.project.collect import Source, locate


@dataclass(frozen=True)
class Reach:
    """Of one call."""

    modules: frozenset[str]
    """Those of the project."""
    needed: frozenset[str]
    """Others, without which one of them cannot be imported."""
    optional: frozenset[str]
    """Others that may be imported."""


def reach(
    sources: Mapping[str, Source], namespaces: Iterable[str], named: Iterable[str], perhaps: Iterable[str] = ()
) -> Reach:
    """From the modules that are named surely, and from those that may be."""
    spaces = set(namespaces)
    surely: dict[str, bool] = {}
    waiting = [(part, True) for name in named for part in _with_parents(name)]
    waiting += [(part, False) for name in perhaps for part in _with_parents(name)]
    needed: set[str] = set()
    optional: set[str] = set()
    while waiting:
        name, sure = waiting.pop()
        if name in spaces or surely.get(name, False) or (name in surely and not sure):
            continue
        source = sources.get(name)
        if source is None:
            continue
        surely[name] = sure
        for each in source.read(name).imports:
            now = sure and each.needed
            if each.name in sources or each.name in spaces:
                waiting += [(part, now) for part in _with_parents(each.name)]
            elif each.certain or _is_compiled(each.name, sources, spaces):
                (needed if now else optional).add(each.name)
    return Reach(frozenset(surely), frozenset(needed), frozenset(optional - needed))


def compiled_file(name: str) -> str | None:
    """The file of a module of machine code; None for any other."""
    spec = locate(name)
    origin = spec.origin if spec is not None else None
    return origin if origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES)) else None


def _is_compiled(name: str, sources: Mapping[str, Source], spaces: set[str]) -> bool:
    """Of `from shop import _fast`: a module beside those of the project that cannot travel."""
    parent = name.rpartition(".")[0]
    return (parent in sources or parent in spaces) and compiled_file(name) is not None


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
