"""How a deliberate difference is written down, and how traces are held against the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ABSENT = "(absent)"


@dataclass(frozen=True)
class At:
    """Facts that differ: where (a pattern for `scenario.path`), and what each side says there (patterns, whole)."""

    where: str
    beta: str = r"[\s\S]*"
    podtask: str = r"[\s\S]*"

    def covers(self, fact: Fact) -> bool:
        return all(
            re.fullmatch(pattern, text)
            for pattern, text in ((self.where, fact.where), (self.beta, fact.beta), (self.podtask, fact.podtask))
        )


@dataclass(frozen=True)
class Difference:
    """One deliberate difference. `source` is the row of the semantics that asks for it (§8 beta bug, §9 on purpose)."""

    name: str
    beta: str
    podtask: str
    why: str
    source: str
    at: tuple[At, ...]


@dataclass(frozen=True)
class Fact:
    """One fact on which the two sides do not agree."""

    where: str
    beta: str
    podtask: str

    def __str__(self) -> str:
        return f"{self.where}\n    beta:    {self.beta}\n    podtask: {self.podtask}"


def facts(scenario: str, beta: dict[str, str], podtask: dict[str, str]) -> list[Fact]:
    """What differs between two flattened traces."""
    keys = list(beta) + [key for key in podtask if key not in beta]
    found = (Fact(f"{scenario}.{key}", beta.get(key, ABSENT), podtask.get(key, ABSENT)) for key in keys)
    return [fact for fact in found if fact.beta != fact.podtask]


def unexplained(found: Iterable[Fact], table: Iterable[Difference]) -> list[Fact]:
    """Facts that no row covers."""
    places = [at for row in table for at in row.at]
    return [fact for fact in found if not any(at.covers(fact) for at in places)]


def gone(found: Iterable[Fact], table: Iterable[Difference]) -> list[tuple[Difference, At]]:
    """Parts of rows that cover nothing any more."""
    known = list(found)
    return [(row, at) for row in table for at in row.at if not any(at.covers(fact) for fact in known)]
