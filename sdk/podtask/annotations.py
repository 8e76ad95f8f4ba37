"""Marks on arguments: `quote` (leave it alone), `unmapped` (the same for every element), `allow_failure` (run anyway).

Used by: `podtask.tasks`, `podtask.payloads.arguments` and `podtask.payloads.allowed_failures`.
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


class allow_failure(Generic[T]):  # noqa: N801 - reads as a verb at the call, as in Prefect
    """Around a future, or a container of futures, in an argument or in `wait_for`: the task runs however they end.

    An argument that failed arrives as its exception: that of the task, or `TaskCrashed`, `TaskTimedOut`,
    `TaskCancelled`, `UpstreamNotReady`. A future that also stands outside of `allow_failure` in the same call must
    complete. A call with an upstream that failed is not cached.
    """

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"allow_failure({self.value!r})"

    def __podtask_hash__(self) -> tuple[str, T]:
        return "allow_failure", self.value
