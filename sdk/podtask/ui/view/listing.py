"""Filters, pages and counts of a list, as the URL says them. Pure.

?state=Failed&state=Crashed&q=load&page=2      the same list again, in another tab, by the back button
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from urllib.parse import urlencode

from podtask.ui.view.briefs import Brief
from podtask.ui.view.flow_runs import FlowRunRow
from podtask.ui.view.states import rank

T = TypeVar("T")
PAGE = 200
"""Rows of a page."""
TEXT_LIMIT = 200
"""Characters of a search."""


@dataclass(frozen=True)
class Query:
    """What a list shows."""

    states: tuple[str, ...] = ()
    text: str = ""
    task: str = ""
    page: int = 1

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Query:
        """From the pairs of a query string; what is no page is the first."""
        given = list(pairs)
        last = dict(given)
        states = tuple(dict.fromkeys(value for name, value in given if name == "state" and value))
        page = last.get("page", "1")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        return cls(states, last.get("q", "")[:TEXT_LIMIT].strip(), last.get("task", "")[:TEXT_LIMIT], max(1, number))

    @property
    def filters(self) -> bool:
        """True where something is left out."""
        return bool(self.states or self.text or self.task)

    def url(self, **changes: object) -> str:
        """The query string with some of it changed; the page starts anew unless it is what changes."""
        new = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        pairs = [("state", state) for state in new.states]
        pairs += [("q", new.text)] if new.text else []
        pairs += [("task", new.task)] if new.task else []
        pairs += [("page", str(new.page))] if new.page > 1 else []
        return "?" + urlencode(pairs)


@dataclass(frozen=True)
class ListPage(Generic[T]):
    """Some rows of a list."""

    rows: Sequence[T]
    total: int
    """Rows that the filters let through."""
    number: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the first row, counted from 1."""
        return (self.number - 1) * PAGE + 1

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + len(self.rows) - 1


def page(rows: Sequence[T], number: int) -> ListPage[T]:
    """The page of that number; behind the last it is the last."""
    pages = max(1, -(-len(rows) // PAGE))
    number = min(number, pages)
    return ListPage(rows[(number - 1) * PAGE : number * PAGE], len(rows), number, pages)


def task_runs(briefs: Iterable[Brief], query: Query) -> list[Brief]:
    """TaskRuns that a query lets through: what went wrong first, then by creation."""

    def takes(one: Brief) -> bool:
        return (
            (not query.states or one.state in query.states)
            and (not query.task or one.task == query.task)
            and _has(query.text, one.name, one.task, one.reason, one.message, one.node)
        )

    return sorted(filter(takes, briefs), key=lambda one: (rank(one.state), one.created, one.name))


def newest(briefs: Iterable[Brief]) -> list[Brief]:
    """TaskRuns by creation, newest first."""
    return sorted(briefs, key=lambda one: (-one.created, one.name))


def flow_runs(rows: Iterable[FlowRunRow], query: Query) -> list[FlowRunRow]:
    """Flow runs that a query lets through, in their order."""
    return [
        one
        for one in rows
        if (not query.states or one.word in query.states) and _has(query.text, one.name, one.flow, one.title, *one.tags)
    ]


def _has(text: str, *fields: str) -> bool:
    wanted = text.lower()
    return not wanted or any(wanted in field.lower() for field in fields)


def counted(rows: Iterable[T], state: Callable[[T], str]) -> Mapping[str, int]:
    """How many rows of each state."""
    counts: dict[str, int] = {}
    for one in rows:
        counts[state(one)] = counts.get(state(one), 0) + 1
    return counts
