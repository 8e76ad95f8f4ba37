"""`.map`: from arguments with iterables inside to the arguments of one call each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from podtask.annotations import allow_failure, quote, unmapped
from podtask.core.api import limits
from podtask.engine.batches import kind
from podtask.errors import MappingError
from podtask.futures import AsyncTaskFuture, BaseFuture, TaskFuture

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition

BATCH_SIZE = "batch_size"
_WHOLE = (str, bytes, bytearray, dict, unmapped, quote, allow_failure)


def elements(
    task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Positional and keyword arguments of each call. Raises `MappingError`."""
    places = [*range(len(args)), *kwargs]
    given = [_opened(task, _turned(value)) for value in (*args, *kwargs.values())]
    mapped = {place: list(value) for place, value in zip(places, given, strict=True) if _is_mapped(value)}
    if not mapped:
        raise MappingError(
            f"{task.name}.map needs at least one iterable argument; for a single run call {task.name}(...) instead."
        )
    lengths = {place: len(values) for place, values in mapped.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{place}: {length}" for place, length in lengths.items())
        raise MappingError(
            f"{task.name}.map got iterables of different lengths ({told}); wrap what is the same for all in unmapped()."
        )
    same = {place: _bare(value) for place, value in zip(places, given, strict=True) if place not in mapped}
    for index in range(next(iter(lengths.values()))):
        row = {place: mapped[place][index] if place in mapped else same[place] for place in places}
        yield tuple(row[place] for place in range(len(args))), {name: row[name] for name in kwargs}


def batch_size_of(task: TaskDefinition, kwargs: dict[str, Any]) -> int | None:
    """Elements per run, out of the keywords of `.map`, else out of the options; None: no batches. Raises `ValueError`.

    The keyword is the task's own where it has such a parameter.
    """
    size = task.options.batch_size
    if BATCH_SIZE in kwargs and BATCH_SIZE not in task.signature.parameters:
        size = kwargs.pop(BATCH_SIZE)
        limits.batch_size(size)
    if size is None or size == 1:
        return None
    kind.check(task)
    return size


def _turned(value: Any) -> Any:
    """`allow_failure(unmapped(x))` says what `unmapped(allow_failure(x))` says."""
    if isinstance(value, allow_failure) and isinstance(value.value, unmapped):
        return unmapped(allow_failure(value.value.value))
    return value


def _opened(task: TaskDefinition, value: Any) -> Any:
    """The elements of a future's result, which must be finished. An allowed failure is passed to every element."""
    if isinstance(value, allow_failure):
        return _opened_mark(task, value)
    if isinstance(value, TaskFuture):
        return value.result()
    if isinstance(value, AsyncTaskFuture):
        raise MappingError(
            f"{task.name}.map cannot wait for '{value.name}' in an async flow; map over 'await future.result()', or "
            f"pass it whole with unmapped(future)."
        )
    return value


def _opened_mark(task: TaskDefinition, mark: allow_failure[Any]) -> Any:
    """Of each element the failure is allowed."""
    inside = mark.value
    if isinstance(inside, TaskFuture):
        inside.wait()
        if not inside.task_run.status.state.succeeded:
            return mark
    elements = _opened(task, inside)
    return [allow_failure(each) for each in elements] if _is_mapped(elements) else mark


def _is_mapped(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (*_WHOLE, BaseFuture))


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, unmapped) else value
