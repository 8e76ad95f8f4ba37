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

from podtask.annotations import quote
from podtask.errors import UnpicklableArgument
from podtask.futures import BaseFuture
from podtask.model.task_run import Inputs
from podtask.payloads.wait_for import in_order
from podtask.states import State
from podtask.support import containers
from podtask_runner.files import File, reference

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask_runner.serialization.by_value import Packing
    from podtask_runner.storage.spool import Payload

Find = Callable[[str], "TaskRun | None"]
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
    seen = _Met(find, remote=packing is not None if remote is None else remote)
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
    )


def _pickled(arguments: Any, seen: _Met, packing: Packing | None) -> tuple[Payload, bytes, tuple[object, ...]]:
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

    seen = _Met(find)
    dumps(value, reference=seen.reference)
    return tuple(seen.runs)


def largest(parameters: Mapping[str, Any]) -> str:
    """The parameter that takes most of a call's payload."""
    from podtask_runner.serialization.pickling import dumps

    short = _Met(lambda _: None).reference
    return max(parameters, key=lambda name: len(dumps(parameters[name], reference=short)))


def awaited(wait_for: Any, find: Find) -> tuple[tuple[TaskRun, ...], State[Any] | None]:
    """The runs that a call waits for, and a state among them that keeps it from running. Raises `TypeError`."""
    seen = _Met(find)
    for item in in_order(wait_for):
        if seen.reference(item) is None and isinstance(item, State):
            seen.block(item)
    return tuple(seen.runs.values()), seen.blocked_by


@dataclass
class _Met:
    """What one walk over the arguments met."""

    find: Find
    remote: bool = False
    runs: dict[str, TaskRun] = field(default_factory=dict)
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
        if isinstance(obj, BaseFuture):
            run: TaskRun | None = obj.task_run
        elif isinstance(obj, State) and obj.run_id:
            run = self.find(obj.run_id)
        elif isinstance(obj, File):
            self.paths.add(obj.path)
            return self._file(obj) if self.remote else None
        else:
            return None
        if run is None:
            return None
        self._asked += 1
        self.runs[run.id] = run
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
        if isinstance(value, BaseFuture):
            self.reference(value)
            return False
        if isinstance(value, State):
            return self.reference(value) is None  # of a run: the pickler makes it a reference
        return containers.is_iterator(value)

    def _instead(self, value: Any) -> Any:
        return self._open(value) if isinstance(value, State) else self.visit(list(value))

    def _open(self, state: State[Any]) -> Any:
        self.block(state)
        return state.result if state.is_completed() else None

    def block(self, state: State[Any]) -> None:
        """A state of no run here: unless it is completed, the task will not run."""
        if not state.is_completed():
            self.blocked_by = self.blocked_by or state


def _culprit(task_name: str, bound: inspect.BoundArguments, seen: _Met, error: Exception) -> UnpicklableArgument:
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
