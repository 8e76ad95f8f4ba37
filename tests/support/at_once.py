"""Cases of one test that need nothing of each other, at the same time: on a cluster most of their seconds are waiting.

A fixture of the module begins the cases that this session has chosen; each test then asks for the outcome of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
THREADS = 4


@contextmanager
def begun(request: pytest.FixtureRequest, argument: str, case: Callable[[Any], T]) -> Iterator[dict[Any, Future[T]]]:
    """The outcomes of `case` for each value of that argument, in the order of the module's tests."""
    params = [
        item.callspec.params
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    ]
    chosen = [each[argument] for each in params if argument in each]
    with ThreadPoolExecutor(THREADS, thread_name_prefix=argument) as pool:
        try:
            yield {value: pool.submit(case, value) for value in chosen}
        finally:
            pool.shutdown(cancel_futures=True)
