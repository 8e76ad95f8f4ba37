"""A class is written into while it is hashed, as other threads do: annotations, caches, registries of a framework."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from podtask_runner.hashing.code import class_parts, statement_of

ADDED = count()


class Writes:
    """A member that is looked at: each look puts something new into its class."""

    home: type | None = None

    @property
    def __class__(self) -> Any:
        if self.home is not None:
            setattr(self.home, f"added_{next(ADDED)}", 1)
        return Writes


@pytest.fixture
def written_into() -> Any:
    class Victim:
        first = Writes()
        price = 3
        last = Writes()

    for member in (Victim.first, Victim.last):
        member.home = Victim
    return Victim


@pytest.mark.parametrize("look", [class_parts, statement_of])
def test_a_class_that_changes_while_it_is_read_is_read_as_it_was(written_into: Any, look: Any) -> None:
    before = set(vars(written_into))
    look(written_into)
    assert set(vars(written_into)) > before, "nothing was written, so nothing was tried"


def test_hashing_writes_nothing_into_a_class() -> None:
    """`kind.__annotations__` puts an empty dict into a class that has none, while another thread counts its members."""
    kind = type("Made", (), {"__module__": __name__, "price": 3})
    before = vars(kind).copy()
    class_parts(kind)
    assert vars(kind) == before
