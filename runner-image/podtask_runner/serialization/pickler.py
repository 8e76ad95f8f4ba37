"""cloudpickle's pickler, with what it does not know by itself.

Below `podtask_runner.serialization.by_value` and `podtask_runner.serialization.pickling`.
"""

from __future__ import annotations

import functools
import types
from collections import ChainMap
from typing import Any, ClassVar

import cloudpickle

from podtask_runner.serialization import source_lines


def _cached_property(obj: functools.cached_property[Any]) -> tuple[Any, ...]:
    state = {name: value for name, value in vars(obj).items() if name != "lock"}
    return functools.cached_property, (obj.func,), state


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's, that keeps the files and lines of code, and also takes a `functools.cached_property`, which holds
    a lock before Python 3.12."""

    dispatch_table: ClassVar[Any] = ChainMap(
        {functools.cached_property: _cached_property, types.CodeType: source_lines.reduced},
        cloudpickle.Pickler.dispatch_table,
    )
