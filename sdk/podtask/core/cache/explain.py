"""Why a run found no entry: what differs from the nearest earlier run of its task. Pure.

    entry stored ──> remember ──> document per task ──> load_recent ──> why_missed ──> status.cache.missReason

Entries are found by their keys alone, so what differs from them cannot be asked of them: the last runs of a task that
stored one are remembered with their components. Before: `podtask.core.cache.entry`. Next: `repository`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from podtask.core.cache.entry import POINTER_LIMIT, Components, Fields, components_of, document_of

DOCUMENT_VERSION: Final = 1
_LISTED: Final = 5
"""Arguments that an explanation names."""


@dataclass(frozen=True)
class Compared:
    """Why a run found no entry, and the earlier run that it was compared with."""

    text: str
    task_run: str


@dataclass(frozen=True)
class Earlier:
    """A run of the same task that stored an entry, for explaining why a later one found none."""

    task_run: str
    components: Components


RECENT_RUNS: Final = 16
"""Runs of one task that are remembered for explanations."""


def why_missed(components: Components, earlier: Iterable[Earlier]) -> Compared | None:
    """What differs from the nearest earlier run: the one with the fewest differences, the newest of those.

    `earlier` comes newest first. None: there is none, or its components are the same (its entry is gone, then).
    """
    runs = list(earlier)
    if not runs:
        return None
    nearest = min(runs, key=lambda run: _distance(run.components, components))
    if nearest.components == components:
        return None
    text = f"Compared with '{nearest.task_run}': {explain(nearest.components, components)}."
    return Compared(text, nearest.task_run)


def remember(run: Earlier, earlier: Iterable[Earlier]) -> tuple[Earlier, ...]:
    """The runs to remember from now on, newest first; of equal ones the newest."""
    others = (known for known in earlier if known.components != run.components)
    return (run, *others)[:RECENT_RUNS]


def dump_recent(runs: Iterable[Earlier]) -> bytes:
    """The document with the remembered runs of one task; what does not fit any more is forgotten, the oldest first."""
    kept = [{"taskRun": run.task_run, "components": document_of(run.components)} for run in runs]
    while len(data := json.dumps({"v": DOCUMENT_VERSION, "runs": kept}).encode()) > POINTER_LIMIT:
        kept.pop()
    return data


def load_recent(data: bytes) -> tuple[Earlier, ...]:
    """The runs in such a document; nothing for anything odd: they only serve for explanations."""
    try:
        listed = Fields(json.loads(data[: POINTER_LIMIT + 1])).parts("runs")
        return tuple(
            Earlier(run.text("taskRun"), components_of(run.part("components"))) for run in listed[:RECENT_RUNS]
        )
    except (ValueError, RecursionError):
        return ()


def _distance(before: Components, after: Components) -> int:
    old, new = before.arguments, after.arguments
    arguments = sum(old.get(name) != new.get(name) for name in old.keys() | new.keys())
    others = ((before.code, after.code), (before.image, after.image), (before.environment, after.environment))
    return arguments + sum(was != now for was, now in others)


def explain(before: Components, after: Components) -> str:
    """Why two keys differ, for people: "argument `rows` changed; code the same"."""
    old, new = before.arguments, after.arguments
    found = [
        *_named("changed", (name for name in new if name in old and new[name] != old[name])),
        *_named("new", new.keys() - old.keys()),
        *_named("gone", old.keys() - new.keys()),
    ]
    same = [] if found else ["arguments"]
    for word, was, now in (
        ("code", before.code, after.code),
        ("image", before.image, after.image),
        ("environment (spec.env)", before.environment, after.environment),
    ):
        if was is not None or now is not None:  # outside of clusters there is no image, and most runs ask for no env
            (found if was != now else same).append(f"{word} changed" if was != now else word)
    if not found:
        return "code, arguments and image the same"
    return "; ".join([*found, *([f"{_listed(same)} the same"] if same else [])])


def _named(word: str, names: Iterable[str]) -> list[str]:
    """`argument `rows` changed`, or nothing."""
    quoted = [f"`{name}`" for name in sorted(names)]
    if not quoted:
        return []
    if len(quoted) > _LISTED:
        quoted = [*quoted[:_LISTED], f"{len(quoted) - _LISTED} more"]
    return [f"argument{'s' if quoted[1:] else ''} {_listed(quoted)} {word}"]


def _listed(words: list[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
