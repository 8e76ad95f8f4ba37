"""Marks on arguments: `quote` (leave it alone), `unmapped` (the same for every element).

Used by: `podtask.tasks` and `podtask.payloads.arguments`.
"""

from __future__ import annotations

import pickle
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class quote(Generic[T]):  # noqa: N801 - reads as a verb at the call, as in Prefect
    """Protects an argument: futures and states inside are not resolved. The task receives the bare value."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"quote({self.value!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle inside the pickle: the outer one, which turns futures into references, never sees the inside.
        import cloudpickle

        return pickle.loads, (cloudpickle.dumps(self.value),)


class unmapped(Generic[T]):  # noqa: N801 - reads as a verb at the call, as in Prefect
    """Inside `.map(...)`: this argument is the same for every element."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"unmapped({self.value!r})"
