"""The calls of one batch: each is looked through for futures of its own, and all are pickled together.

    calls of `.map` ──each──> BatchCalls.add ──> BatchCalls.pickled ──> Inputs of the batch

What every item shares (`unmapped(x)`) is looked through once, and stands once in the pickle. An item whose upstream
failed is left out where the batch runs, so the batch itself waits for upstreams however they end; except those that no
item can do without. Used by: `podtask.engine.flow_run`. Opened by: `podtask_runner.attempt.batch`.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from podtask.errors import UnpicklableArgument
from podtask.futures import BaseFuture, TaskFuture
from podtask.model.task_run import Inputs
from podtask.payloads.arguments import Find, Met, bind, prepare

if TYPE_CHECKING:
    from podtask.model.definitions import TaskDefinition
    from podtask.model.task_run import TaskRun
    from podtask.states import State
    from podtask_runner.serialization.by_value import Packing

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def _of_batch(calls: Any, names: Any) -> Any:
    """What a batch is called with."""


SIGNATURE = inspect.signature(_of_batch)


PLAIN = (str, bytes, int, float, type(None))
"""Where no future can be."""


class BatchCalls:
    """The calls of one batch, in their order."""

    def __init__(self, task: TaskDefinition, find: Find, *, remote: bool) -> None:
        self._task = task
        self._remote = remote
        self._find = find
        self._looked: dict[int, tuple[Any, Any, Met]] = {}
        """By identity: a value, what stands for it, what was met in it."""
        self._bound: list[tuple[inspect.BoundArguments, TaskRun]] = []

    def seen(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[inspect.BoundArguments, Inputs]:
        """The arguments of one call, and what is to be known of them but their payload. Raises `TypeError`."""
        bound = bind(self._task.signature, args, kwargs)
        runs: dict[str, TaskRun] = {}
        must: set[str] = set()
        ids: dict[str, tuple[str, ...]] = {}
        blocked_by: State[Any] | None = None
        for name, value in bound.arguments.items():
            ids[name] = ()
            if isinstance(value, _PLAIN):
                continue
            bound.arguments[name], met = self._look(value)
            ids[name], blocked_by = tuple(met.runs), blocked_by or met.blocked_by
            runs.update(met.runs)
            must |= met.must_complete
        inputs = Inputs(bound.arguments, b"", tuple(runs.values()), blocked_by, ids, must_complete=frozenset(must))
        return bound, inputs

    def _look(self, value: Any) -> tuple[Any, Met]:
        from podtask_runner.serialization.pickling import dumps

        if id(value) not in self._looked:
            met = Met(self._find, remote=self._remote)
            instead = met.visit(value)
            if not isinstance(instead, (BaseFuture, *PLAIN)):
                with suppress(Exception):  # what cannot be pickled is refused where all is
                    dumps(instead, reference=met.reference)  # futures where only the pickler looks
            self._looked[id(value)] = value, instead, met
        _, instead, met = self._looked[id(value)]
        return instead, met

    def add(self, bound: inspect.BoundArguments, item: TaskRun) -> None:
        """This call is one of the batch."""
        self._bound.append((bound, item))

    def pickled(self, packing: Packing | None) -> Inputs:
        """The inputs of the batch. Raises `UnpicklableArgument` that names the parameter of the task."""
        everybody = self.needed_by_all()
        calls: list[Any] = [
            (
                number,
                [TaskFuture(run) for run in item.upstreams if run.id in item.inputs.must_complete - everybody],
                bound.args,
                bound.kwargs,
            )
            for number, (bound, item) in enumerate(self._bound)
        ]
        names = [(item.id, item.name, item.key.dynamic_key) for _, item in self._bound]
        batch = bind(SIGNATURE, (calls, names), {})
        try:
            inputs = prepare(self._task.name, batch, self._find, packing, remote=self._remote)
        except UnpicklableArgument:
            for bound, _ in self._bound:
                prepare(self._task.name, bound, self._find, packing, remote=self._remote)
            raise
        return replace(inputs, must_complete=everybody)

    def needed_by_all(self) -> frozenset[str]:
        """Ids of the upstreams that no item can do without."""
        every = [item.inputs.must_complete for _, item in self._bound]
        return frozenset.intersection(*every) if every else frozenset()
