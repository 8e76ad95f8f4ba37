"""`TaskRun.status` as the API server has it, back to the `Status` the SDK works with.

Lenient: a newer operator may write words that this version does not know; only the field that has them is lost.
Used by: `watch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from podtask.core.api.names import State
from podtask.core.api.status import ErrorInfo, Status


def read(obj: Mapping[str, Any]) -> Status:
    """The status of a TaskRun; the empty one where nothing was written yet."""
    given = obj.get("status")
    if not given:
        return Status()
    known = dict(given)
    while True:
        try:
            return _checked(_adapter().validate_python(known), given)
        except ValueError as error:
            wrong = {str(one["loc"][0]) for one in getattr(error, "errors", list)() if one["loc"]} & set(known)
            if not wrong:
                raise
            for name in wrong:
                del known[name]


def _checked(status: Status, obj: Mapping[str, Any]) -> Status:
    """An end in a word of the future is a failure that says so: whether it is a success is not known."""
    from dataclasses import replace

    if not status.finished or status.state.finished:
        return status
    text = f"It ended as '{obj.get('state')}', which this version of podtask does not know; upgrade podtask here."
    return replace(status, state=State.FAILED, message=text, error=ErrorInfo("UnknownState", text))


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Status)
