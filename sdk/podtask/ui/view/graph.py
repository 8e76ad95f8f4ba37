"""The graph of what needs what: single task runs while they are few, tasks where they are many. Pure.

Of many task runs those that a filter shows are drawn one by one, with their neighbours.

Layers from left to right: a node stands behind everything that it needs. Within a layer nodes stand beside those that
they need, so that lines cross seldom. A circle, which the API does not forbid, is cut where it is met.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podtask.ui.view.briefs import Brief
from podtask.ui.view.states import in_order, rank, word

SINGLE = 100
"""Task runs up to which each is a node."""
NODES = 300
"""Tasks in a graph, at most; with more it is no picture any more."""
EDGES = 1000
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 190, 46, 70, 16, 12
"""Pixels of a node, and between nodes."""
LETTERS = 18
"""Letters of a label that fit into a node."""


@dataclass(frozen=True)
class Node:
    """A task run, or all task runs of a task."""

    label: str
    """Short enough for the node."""
    title: str
    state: str
    """Of many: the one that matters most."""
    text: str
    run: str | None
    """Name of the task run; None for a task."""
    task: str
    x: int
    y: int


@dataclass(frozen=True)
class Graph:
    """The picture."""

    nodes: list[Node]
    edges: list[str]
    """Paths."""
    links: list[tuple[int, int]]
    """The same as places in `nodes`: what is needed, and who needs it."""
    width: int
    height: int
    grouped: bool
    of_a_part: bool = False
    """True: what a filter shows, and what stands beside that."""


@dataclass(frozen=True)
class _Thing:
    """What becomes a node."""

    title: str
    state: str
    text: str
    run: str | None
    task: str


_Parts = tuple[dict[str, _Thing], dict[str, list[str]]]


def graph(briefs: Sequence[Brief], chosen: Sequence[Brief] = ()) -> Graph | None:
    """The graph, or None where there are no lines to draw or too many nodes; `chosen`: what a filter lets through."""
    if len(briefs) <= SINGLE:
        return _drawn(_runs(briefs))
    part = _drawn(_runs(_around(briefs, chosen)), of_a_part=True) if 0 < len(chosen) <= SINGLE else None
    return part or _drawn(_tasks(briefs), grouped=True)


def too_many(briefs: Sequence[Brief]) -> str:
    """Why there is no graph although there are lines; nothing where there are none."""
    few = len(briefs) <= SINGLE
    things, needs = _runs(briefs) if few else _tasks(briefs)
    lines = sum(map(len, needs.values()))
    noun = "task runs" if few else "tasks"
    return f"{len(things):,} {noun} and {lines:,} lines between them are too many for a picture." if lines else ""


def _around(briefs: Sequence[Brief], chosen: Sequence[Brief]) -> Sequence[Brief]:
    """Those that were chosen with what they need and who needs them; without where that is too much."""
    names = {one.name for one in chosen}
    needed = {up for one in chosen for up in one.needs}
    around = [one for one in briefs if one.name in names or one.name in needed or not names.isdisjoint(one.needs)]
    return around if len(around) <= SINGLE else chosen


def _drawn(parts: _Parts, *, grouped: bool = False, of_a_part: bool = False) -> Graph | None:
    things, needs = parts
    if len(things) > NODES or not 0 < sum(map(len, needs.values())) <= EDGES:
        return None
    layers = _ordered(_layers(things, needs), needs)
    tallest = max(map(len, layers))
    place: dict[str, tuple[int, int]] = {}
    for column, layer in enumerate(layers):
        down = MARGIN + (tallest - len(layer)) * (HEIGHT + DOWN) // 2
        for row, key in enumerate(layer):
            place[key] = (MARGIN + column * (WIDTH + ACROSS), down + row * (HEIGHT + DOWN))
    nodes = [
        Node(_short(one.title), one.title, one.state, one.text, one.run, one.task, *place[key])
        for key, one in things.items()
    ]
    pairs = [(up, key) for key in things for up in needs[key]]
    edges = [_path(place[up], place[key]) for up, key in pairs]
    number = {key: index for index, key in enumerate(things)}
    links = [(number[up], number[key]) for up, key in pairs]
    width = 2 * MARGIN + len(layers) * (WIDTH + ACROSS) - ACROSS
    return Graph(nodes, edges, links, width, 2 * MARGIN + tallest * (HEIGHT + DOWN) - DOWN, grouped, of_a_part)


def _runs(briefs: Sequence[Brief]) -> _Parts:
    things = {
        one.name: _Thing(one.task, one.state, _words(one), one.name, one.task)
        for one in sorted(briefs, key=lambda one: (one.created, one.name))
    }
    needs = {one.name: [up for up in one.needs if up in things and up != one.name] for one in briefs}
    return things, needs


def _words(one: Brief) -> str:
    """The state, and the name where the label is that of several."""
    return word(one.state) if one.name == one.task else f"{word(one.state)}, {one.name}"


def _tasks(briefs: Sequence[Brief]) -> _Parts:
    task_of = {one.name: one.task for one in briefs}
    members: dict[str, Counter[str]] = {}
    needs: dict[str, dict[str, None]] = {}
    for one in sorted(briefs, key=lambda one: (one.created, one.name)):
        if one.task not in members:
            members[one.task], needs[one.task] = Counter(), {}
        members[one.task][one.state] += 1
        for up in one.needs:
            if task_of.get(up, one.task) != one.task:
                needs[one.task][task_of[up]] = None
    things = {}
    for task, counts in members.items():
        words = in_order(counts)
        total = sum(counts.values())
        text = word(words[0][0]) if len(words) == 1 else f"{words[0][1]:,} {word(words[0][0])}"
        things[task] = _Thing(task, min(counts, key=rank), f"{total:,} run{'s' * (total != 1)}, {text}", None, task)
    return things, {task: list(ups) for task, ups in needs.items()}


def _layers(things: Mapping[str, _Thing], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Longest way from a beginning; what closes a circle does not count."""
    depth: dict[str, int] = {}
    for root in things:
        stack: list[tuple[str, int]] = [(root, 0)]
        path: set[str] = set()
        while stack:
            key, at = stack.pop()
            if key in depth:
                continue
            path.add(key)
            ups = needs[key]
            while at < len(ups) and (ups[at] in depth or ups[at] in path):
                at += 1
            if at < len(ups):
                stack += [(key, at + 1), (ups[at], 0)]
            else:
                depth[key] = max((depth[up] + 1 for up in ups if up in depth), default=0)
                path.discard(key)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for key in things:
        layers[depth[key]].append(key)
    return [layer for layer in layers if layer]


def _ordered(layers: list[list[str]], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    place: dict[str, float] = {}
    for layer in layers:
        own = {key: index for index, key in enumerate(layer)}

        def middle(key: str, own: Mapping[str, int] = own) -> tuple[float, int]:
            ups = [place[up] for up in needs[key] if up in place]
            return (sum(ups) / len(ups) if ups else own[key] / len(own), own[key])

        layer.sort(key=middle)
        place.update({key: (index + 0.5) / len(layer) for index, key in enumerate(layer)})
    return layers


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + WIDTH, start[1] + HEIGHT // 2
    x2, y2 = end[0], end[1] + HEIGHT // 2
    bend = max(ACROSS // 2, (x2 - x1) // 2)
    return f"M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
