"""A batch: the calls of many items in one attempt. Each has an outcome of its own, by the rules for any call.

    calls ──> those without an outcome yet ──> outcome each ──> all entries as the value, or BatchFailed with them

An attempt that is not the last one of its run leaves its outcomes in the run's checkpoint, and the next attempt makes
the other calls only. The calls of a plain function are made one after the other; those of an async one go on together.
Made by: `podtask_runner.attempt.execute`, and `podtask.backends.in_process.attempt` in the driver's process. Opened by:
`podtask.engine.batches`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from podtask_runner import pickled_names
from podtask_runner.attempt.context import ITEM, Item
from podtask_runner.attempt.in_memory import MemorySink
from podtask_runner.attempt.retry import RetryBudget
from podtask_runner.batch_entries import Entry, packed
from podtask_runner.errors import ToldToStop
from podtask_runner.pickled_names import Batch, BatchFailed, Shipped
from podtask_runner.protocol import Outcome, Verdict, dump, load_outcome

if TYPE_CHECKING:
    from podtask_runner.attempt.checkpoint import Checkpoint

Call = tuple[int, Sequence[object], tuple[Any, ...], dict[str, Any]]
"""Number of an item, the upstreams that it cannot do without, and its arguments."""
Name = tuple[str, str, str]
"""Id, name and count of an item."""
LEAST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 30.0
SHARE: Final = 10
AGE: Final = 20
"""Between two saves passes a second, ten times as long as the last one took, and a twentieth of the time so far up to
half a minute, whichever is longest. All outcomes are written each time."""
_FILE_CURE: Final = "Map the task without batch_size, or return the content."


@dataclass(frozen=True)
class Rules:
    """How a call ends: the functions of `podtask_runner.attempt.execute`."""

    value: Callable[[Any], Any]
    """What a return value stands for."""
    completed: Callable[[Any, MemorySink], Outcome]
    raised: Callable[[BaseException, Shipped, RetryBudget, MemorySink, dict[str, float]], Outcome]


class BatchProgress:
    """The outcomes that count for the next attempt: completed, or not to be tried again."""

    def __init__(self, checkpoint: Checkpoint | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._checkpoint = checkpoint
        self._clock = clock
        self._began = clock()
        self._due_at = self._began + LEAST_SECONDS
        self._saved = 0
        self.entries: dict[int, Entry] = {}

    def load(self) -> None:
        """What earlier attempts left."""
        if self._checkpoint is not None:
            self.entries = dict(self._checkpoint.load({}))
            self._saved = len(self.entries)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return len(self.entries) > self._saved and self._clock() >= self._due_at

    def save(self) -> None:
        """Keep it for the next attempt. A save that fails costs that attempt time, and this one nothing."""
        if self._checkpoint is None or len(self.entries) == self._saved:
            return
        began, kept = self._clock(), dict(self.entries)
        try:
            self._checkpoint.save(kept)
            self._saved = len(kept)
        except Exception as error:  # noqa: BLE001 - whatever it is
            sys.stderr.write(f"podtask: the progress of the batch was not saved: {error}\n")
        ended = self._clock()
        so_far = min((ended - self._began) / AGE, MOST_SECONDS)
        self._due_at = ended + max(LEAST_SECONDS, so_far, SHARE * (ended - began))


class Running:
    """One attempt of a batch, to be called with its calls. Gives the entries of all items, packed."""

    def __init__(
        self,
        batch: Batch,
        rules: Rules,
        budget: RetryBudget,
        checkpoint: Checkpoint | None,
        attempt: int,
        tell: Callable[[str], None],
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._given_up = given_up
        self._batch = batch
        self._rules = rules
        self._budget = budget
        self._attempt = attempt
        self._tell = tell
        self._progress = BatchProgress(checkpoint)
        self._names: dict[int, Name] = {}
        self._failed: dict[int, tuple[Entry, str, float | None]] = {}
        """Those that are to be tried again: outcome, words, the delay that the task computed."""

    def __call__(self, calls: Sequence[Call], names: Sequence[Name]) -> Any:
        """The entries, packed. Raises `BatchFailed`. A coroutine where the task is async."""
        self._names = {call[0]: name for call, name in zip(calls, names, strict=True)}
        if self._attempt > 1:
            self._progress.load()
        return self._together(calls) if self._batch.is_async else self._one_by_one(calls)

    def _one_by_one(self, calls: Sequence[Call]) -> bytes:
        try:
            for call in self._due(calls):
                if self._given_up():
                    return b""  # nobody reads it
                with self._item(call):
                    self._note(call, self._outcome(call))
                if self._progress.due and not self._given_up():
                    self._progress.save()
        except BaseException:
            self._progress.save()
            raise
        return self._answer(calls)

    async def _together(self, calls: Sequence[Call]) -> bytes:
        import asyncio

        tasks = [asyncio.ensure_future(self._one(call)) for call in self._due(calls)]
        pending = set(tasks)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=LEAST_SECONDS)
                for one in done:
                    one.result()
                if pending and self._progress.due:
                    await asyncio.to_thread(self._progress.save)
        except BaseException:
            for one in pending:
                one.cancel()
            self._progress.save()
            raise
        return self._answer(calls)

    async def _one(self, call: Call) -> None:
        with self._item(call):
            self._note(call, await self._outcome_async(call))

    def _due(self, calls: Sequence[Call]) -> list[Call]:
        """Each second attempt begins at the end: an item that kills its attempt keeps no other from its turn."""
        left = [
            call
            for call in calls
            if call[0] not in self._progress.entries and not any(map(pickled_names.stands_for_failure, call[1]))
        ]
        return left if self._attempt % 2 else left[::-1]

    @contextmanager
    def _item(self, call: Call) -> Iterator[None]:
        number, _, args, kwargs = call
        token = ITEM.set(Item(*self._names[number], args, kwargs))
        try:
            yield
        finally:
            ITEM.reset(token)

    def _outcome(self, call: Call) -> tuple[Outcome, bytes | None]:
        sink = MemorySink(self._tell, files=False)
        try:
            returned = self._batch.fn(*call[2], **call[3])
            if isinstance(returned, Coroutine):  # a callable that turned out to be async
                import asyncio

                returned = asyncio.run(returned)
            value = self._rules.value(returned)
        except BaseException as error:  # the outcome of this item, unless it is about all of them
            if _is_of_all(error):
                raise
            return self._raised(error, sink)
        return self._returned(value, sink)

    async def _outcome_async(self, call: Call) -> tuple[Outcome, bytes | None]:
        sink = MemorySink(self._tell, files=False)
        try:
            value = self._rules.value(await self._batch.fn(*call[2], **call[3]))
        except BaseException as error:  # the outcome of this item, unless it is about all of them
            if _is_of_all(error):
                raise
            return self._raised(error, sink)
        return self._returned(value, sink)

    def _raised(self, error: BaseException, sink: MemorySink) -> tuple[Outcome, bytes | None]:
        timings: dict[str, float] = {}
        task = Shipped(self._batch.fn, self._batch.retry_condition, self._batch.retry_delay)
        outcome = self._rules.raised(error, task, self._budget, sink, timings)
        return replace(outcome, timings=timings), sink.error.data

    def _returned(self, value: Any, sink: MemorySink) -> tuple[Outcome, bytes | None]:
        outcome = self._rules.completed(value, sink)
        if outcome.result is not None:
            return replace(outcome, result=replace(outcome.result, value=None, inline=None)), sink.result.data
        if outcome.error is not None and type(value).__module__ == "podtask_runner.files":
            outcome = replace(outcome, error=replace(outcome.error, cure=_FILE_CURE))
        return outcome, sink.error.data

    def _note(self, call: Call, ended: tuple[Outcome, bytes | None]) -> None:
        outcome, payload = ended
        number, name, error = call[0], self._names[call[0]][1], outcome.error
        if error is None:
            self._progress.entries[number] = dump(outcome), payload
            return
        entry = dump(replace(outcome, error=replace(error, inline=None))), payload
        words = error.message if outcome.outcome is Verdict.CRASHED else f"{error.type}: {error.message}"
        retried = error.retryable and self._budget.retries_left > 0
        if not retried:
            self._progress.entries[number] = entry
        self._failed[number] = entry, f"{name}: {words}", outcome.timings.get("delay") if retried else None

    def _answer(self, calls: Sequence[Call]) -> bytes:
        entries = self._progress.entries
        failed = {number for number, entry in entries.items() if not _completed(entry)} | self._failed.keys()
        if not failed:
            return packed(entries)
        again = self._failed.keys() - entries.keys()
        if again:
            self._progress.save()
        words = next(iter(self._failed.values()))[1] if self._failed else "see the attempts before"
        text = f"{len(failed)} of {len(calls)} items failed. {words}"
        error = BatchFailed(text, {**entries, **{number: self._failed[number][0] for number in again}})
        delays = [delay for number in again if (delay := self._failed[number][2]) is not None]
        error.__podtask_batch_retry__ = bool(again), max(delays, default=None), None  # type: ignore[attr-defined]
        raise error


def _is_of_all(error: BaseException) -> bool:
    """Whether it comes from outside of the item: told to stop, or cancelled with the loop."""
    if isinstance(error, (ToldToStop, KeyboardInterrupt)):
        return True
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return False
    cancelling = getattr(task, "cancelling", None)  # Python 3.11
    return cancelling is None or cancelling() > 0


def _completed(entry: Entry) -> bool:
    return load_outcome(entry[0]).outcome is Verdict.COMPLETED
