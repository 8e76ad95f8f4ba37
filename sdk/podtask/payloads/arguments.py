"""From a call's arguments to what travels: bound, iterators materialised, futures turned into references.

A future or a state of a run is named by its run id wherever the pickler meets it (persistent ids), so a
backend can start nothing before these upstreams are done, and never has to download what it only passes on.
Before: `podtask.tasks`. Next on the road: `podtask.model.task_run`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.annotations import allow_failure, quote
from podtask.errors import UnpicklableArgument
from podtask.futures import BaseFuture
from podtask.model.task_run import Inputs
from podtask.payloads.allowed_failures import is_spread, spread
from podtask.payloads.wait_for import in_order
from podtask.states import State
from podtask.support import containers
from podtask_runner.files import File, reference

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask_runner.serialization.by_value import Packing
    from podtask_runner.storage.spool import Payload

Find = Callable[[str], "TaskRun | None"]
_HIDDEN = (
    "allow_failure(...) stands inside of an object that podtask does not look into; there it may be around one future "
    "only: write allow_failure(future) for each of them"
)
_CLASS_METHOD = (
    "The first parameter is 'cls': where @classmethod stands above @task, Python 3.13 and later bind the plain call "
    "only; write @task above @classmethod, and .submit, .map and .with_options know the class as well."
)


def bind(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    """The call's arguments with defaults. Raises `TypeError` as the plain function would."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        if next(iter(signature.parameters), None) != "cls":
            raise
        raise TypeError(f"{error}. {_CLASS_METHOD}") from None
    bound.apply_defaults()
    return bound


def prepare(
    task_name: str,
    bound: inspect.BoundArguments,
    find: Find,
    packing: Packing | None = None,
    *,
    remote: bool | None = None,
) -> Inputs:
    """Everything about the arguments of one call. Raises `UnpicklableArgument` that names the parameter.

    `packing`: for a task in another interpreter. `remote`: on another machine; default: where there is a packing.
    """
    seen = Met(find, remote=packing is not None if remote is None else remote)
    ids: dict[str, tuple[str, ...]] = {}
    for name, value in bound.arguments.items():
        before, seen.runs = seen.runs, {}
        bound.arguments[name] = seen.visit(value)
        ids[name], seen.runs = tuple(seen.runs), {**before, **seen.runs}
    plain = set(seen.runs)
    try:
        payload, definitions, defined = _pickled((bound.args, bound.kwargs), seen, packing)
    except Exception as error:
        raise _culprit(task_name, bound, seen, error) from error
    if len(seen.runs) > len(plain):
        ids = {name: _met_by_pickling(value, find) for name, value in bound.arguments.items()}
    needed = frozenset(packing.by_name | packing.reached) if packing is not None else frozenset()
    return Inputs(
        bound.arguments,
        payload,
        tuple(seen.runs.values()),
        seen.blocked_by,
        ids,
        needed,
        frozenset(packing.imported) if packing is not None else frozenset(),
        seen.files,
        len(seen.paths),
        definitions,
        defined,
        frozenset(seen.must_complete),
    )


def _pickled(arguments: Any, seen: Met, packing: Packing | None) -> tuple[Payload, bytes, tuple[object, ...]]:
    """The payload, and beside it the definitions of the script that it only names: alike for all calls of a map.

    A definition that holds a future or a file belongs to this call alone, and stands in the payload.
    """
    from podtask_runner.script.lending import Lender
    from podtask_runner.serialization.pickling import dump_payload, dumps

    lender = Lender() if packing is not None else None
    payload = dump_payload(arguments, reference=seen.reference, packing=packing, lender=lender)
    if lender is None or not lender.objects:
        return payload, b"", ()
    met = seen.count()
    definitions = dumps(lender.definitions(), reference=seen.reference, packing=packing)
    if seen.count() == met:
        return payload, definitions, tuple(lender.objects.values())
    return dump_payload(arguments, reference=seen.reference, packing=packing), b"", ()


def _met_by_pickling(value: Any, find: Find) -> tuple[str, ...]:
    """Run ids of the futures in one parameter, also of those in objects that only the pickler looks into."""
    from podtask_runner.serialization.pickling import dumps

    seen = Met(find)
    dumps(value, reference=seen.reference)
    return tuple(seen.runs)


def largest(parameters: Mapping[str, Any]) -> str:
    """The parameter that takes most of a call's payload."""
    from podtask_runner.serialization.pickling import dumps

    short = Met(lambda _: None).reference
    return max(parameters, key=lambda name: len(dumps(parameters[name], reference=short)))


@dataclass(frozen=True)
class Awaited:
    """What the `wait_for` of one call names."""

    runs: tuple[TaskRun, ...]
    must_complete: frozenset[str]
    """Ids of those that stand outside of `allow_failure`."""
    blocked_by: State[Any] | None
    """A state among them that keeps the task from running."""


def awaited(wait_for: Any, find: Find) -> Awaited:
    """The runs that a call waits for. Raises `TypeError`."""
    seen = Met(find)
    for item in in_order(wait_for):
        if seen.noted(item) is None:  # a state that belongs to no run here
            seen.opened(item)
    return Awaited(tuple(seen.runs.values()), frozenset(seen.must_complete), seen.blocked_by)


@dataclass
class Met:
    """What one walk over the arguments met."""

    find: Find
    remote: bool = False
    runs: dict[str, TaskRun] = field(default_factory=dict)
    must_complete: set[str] = field(default_factory=set)
    """Ids of the runs that stand outside of `allow_failure`, wherever else they stand."""
    files: dict[str, File] = field(default_factory=dict)
    paths: set[Path] = field(default_factory=set)
    """Of all files."""
    blocked_by: State[Any] | None = None
    _asked: int = 0

    def count(self) -> int:
        """Grows whenever something was met that is named instead of pickled."""
        return self._asked

    def reference(self, obj: object) -> str | None:
        """The pickler asks this of every object: the run id for futures and states of runs, None for the rest."""
        if isinstance(obj, File):
            self.paths.add(obj.path)
            return self._file(obj) if self.remote else None
        run_id = self.noted(obj)
        if run_id is None and isinstance(obj, allow_failure):
            raise TypeError(_HIDDEN)
        return run_id

    def noted(self, obj: object) -> str | None:
        """The run id of a future or a state of a run, under `allow_failure` or not."""
        inside = obj.value if isinstance(obj, allow_failure) else obj
        if isinstance(inside, BaseFuture):
            run: TaskRun | None = inside.task_run
        elif isinstance(inside, State) and inside.run_id:
            run = self.find(inside.run_id)
        else:
            return None
        if run is None:
            return None
        self._asked += 1
        self.runs[run.id] = run
        if inside is obj:
            self.must_complete.add(run.id)
        return run.id

    def _file(self, file: File) -> str:
        """Its content travels apart from the pickle, however deep inside it stands. Raises as `File` does."""
        file.check()
        self._asked += 1
        ref = reference(file)
        self.files[ref] = file
        return ref

    def visit(self, value: Any) -> Any:
        """Materialise iterators and open states that belong to no run, wherever `podtask.support.containers` looks."""
        return containers.replaced(value, self._goes_otherwise, self._instead)

    def _goes_otherwise(self, value: Any) -> bool:
        """Whether a value cannot be pickled as it is; futures are noted in their order."""
        if type(value) is quote:
            return False
        if isinstance(value, allow_failure):
            return not is_spread(value) or self.noted(value) is None
        if isinstance(value, BaseFuture):
            self.noted(value)
            return False
        if isinstance(value, State):
            return self.noted(value) is None  # of a run: the pickler makes it a reference
        return containers.is_iterator(value)

    def _instead(self, value: Any) -> Any:
        if isinstance(value, allow_failure) and not is_spread(value):
            return self.visit(spread(value))
        return self.opened(value) if isinstance(value, (State, allow_failure)) else self.visit(list(value))

    def opened(self, obj: Any) -> Any:
        """What stands for a state of no run here: one that is not completed keeps the task back, unless it may fail."""
        state = obj.value if isinstance(obj, allow_failure) else obj
        if state.is_completed():
            return state.result
        failure = state.exception() if state is not obj else None
        if failure is None:
            self.blocked_by = self.blocked_by or state
        return failure


def _culprit(task_name: str, bound: inspect.BoundArguments, seen: Met, error: Exception) -> UnpicklableArgument:
    from podtask_runner.serialization.pickling import dumps

    for name, value in bound.arguments.items():
        try:
            dumps(value, reference=seen.reference)
        except Exception as own:  # noqa: BLE001 - as above
            return UnpicklableArgument(task_name, name, _words(own))
    return UnpicklableArgument(task_name, ", ".join(bound.arguments), _words(error))


def _words(error: Exception) -> str:
    if is_too_deep(error):
        return "it is nested too deeply: its parts are inside of each other hundreds of times"
    return f"{type(error).__name__}: {error}"


def is_too_deep(error: BaseException) -> bool:
    """Whether pickling met Python's limit; cloudpickle tells of it in words of its own."""
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)
