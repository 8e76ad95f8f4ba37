"""One attempt of a batch by itself: which calls it makes, what it leaves for the next attempt, and how often."""

from __future__ import annotations

import asyncio
import base64
import itertools
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from podtask_runner.attempt import batch as batches
from podtask_runner.attempt.batch import AGE, LEAST_SECONDS, MOST_SECONDS, SHARE, BatchProgress, Rules, Running
from podtask_runner.attempt.execute import completed, raised, value_of
from podtask_runner.batch_entries import unpacked
from podtask_runner.errors import ToldToStop
from podtask_runner.names import VALUE_LIMIT
from podtask_runner.pickled_names import Batch, BatchFailed, failed, stands_for_failure
from podtask_runner.protocol import Outcome, Verdict, load_outcome
from podtask_runner.serialization.failures import Marked
from podtask_runner.serialization.pickling import deserialize, dumps, loads


class Kept:
    """A checkpoint in memory."""

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.saves = 0
        self.broken = False

    def load(self, default: Any = None) -> Any:
        return default if self.value is None else self.value

    def save(self, value: Any) -> None:
        if self.broken:
            raise OSError("no bucket")
        self.saves += 1
        self.value = dict(value)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def calls(*values: Any, needs: dict[int, list[object]] | None = None) -> tuple[Any, Any]:
    made = [(number, (needs or {}).get(number, []), (value,), {}) for number, value in enumerate(values)]
    return made, [(f"id-{number}", f"item-{number}", str(number)) for number in range(len(values))]


def running(
    fn: Callable[..., Any],
    kept: Kept | None = None,
    *,
    attempt: int = 1,
    left: int = 0,
    is_async: bool = False,
    given_up: Callable[[], bool] = lambda: False,
    **task: Any,
) -> Running:
    budget: Any = SimpleNamespace(retries_left=left, retries_used=attempt - 1)
    checkpoint: Any = kept
    return Running(
        Batch(fn, is_async=is_async, **task),
        Rules(value_of, completed, raised),
        budget,
        checkpoint,
        attempt,
        lambda _: None,
        given_up,
    )


def outcomes(entries: Any) -> dict[int, Outcome]:
    return {number: load_outcome(entry[0]) for number, entry in sorted(entries.items())}


def test_a_value_is_kept_by_the_rules_for_any_result() -> None:
    entries = unpacked(running(lambda x: {"x": x})(*calls(1, {2})))
    found = outcomes(entries)
    assert [found[n].outcome for n in (0, 1)] == [Verdict.COMPLETED] * 2
    values = [deserialize(entries[n][1], found[n].result.serializer) for n in (0, 1)]  # type: ignore[union-attr]
    assert values == [{"x": 1}, {"x": {2}}]
    assert found[0].result is not None
    assert found[0].result.inline is found[0].result.value is None  # the bytes stand in the entry once


def test_values_that_are_much_alike_fit_into_a_task_run() -> None:
    value = running(lambda x: len(str(x)))(*calls(*range(100)))
    assert len(base64.b64encode(dumps(value))) < VALUE_LIMIT


def test_what_failed_and_may_be_retried_is_left_to_the_next_attempt() -> None:
    seen = []

    def step(x: int) -> int:
        seen.append(x)
        if x == 1 and seen.count(1) == 1:
            raise ValueError("once")
        return x

    kept = Kept()
    with pytest.raises(BatchFailed, match=r"1 of 3 items failed. item-1: ValueError: once") as info:
        running(step, kept, left=1)(*calls(0, 1, 2))
    assert sorted(info.value.entries) == [0, 1, 2]
    assert sorted(kept.value) == [0, 2]
    assert sorted(unpacked(running(step, kept, attempt=2)(*calls(0, 1, 2)))) == [0, 1, 2]
    assert seen == [0, 1, 2, 1]


@pytest.mark.parametrize(("left", "retried"), [(1, True), (0, False)])
def test_the_batch_is_retried_as_long_as_one_item_may_be(left: int, retried: bool) -> None:
    def may(error: BaseException, attempt: int) -> bool:
        return isinstance(error, OSError)

    def step(x: type[Exception]) -> None:
        raise x("no")

    def delay(error: BaseException, attempt: int) -> float:
        return 7.0

    kept = Kept()
    with pytest.raises(BatchFailed) as info:
        running(step, kept, left=left, retry_condition=may, retry_delay=delay)(*calls(ValueError, OSError))
    again = info.value.__podtask_batch_retry__  # type: ignore[attr-defined]
    assert again == (retried, 7.0 if retried else None, None)
    assert sorted(kept.value or {}) == ([0] if retried else [])  # the last attempt tells of all by itself
    if retried:
        with pytest.raises(BatchFailed, match="2 of 2 items failed"):
            running(step, kept, attempt=2, retry_condition=may)(*calls(ValueError, OSError))


def test_a_batch_without_an_item_to_retry_is_not_retried() -> None:
    def step(x: int) -> None:
        sys.exit(x)

    with pytest.raises(BatchFailed) as info:
        running(step, left=5)(*calls(1, 2))
    assert info.value.__podtask_batch_retry__ == (False, None, None)  # type: ignore[attr-defined]
    assert {found.outcome for found in outcomes(info.value.entries).values()} == {Verdict.CRASHED}


def test_each_second_attempt_begins_at_the_end() -> None:
    for attempt, order in ((1, [0, 1, 2]), (2, [2, 1, 0]), (3, [0, 1, 2])):
        seen: list[int] = []
        running(seen.append, Kept({}), attempt=attempt)(*calls(0, 1, 2))
        assert seen == order


@pytest.mark.parametrize("end", [ToldToStop(143), KeyboardInterrupt()])
def test_an_attempt_that_is_ended_saves_what_it_has(end: BaseException) -> None:
    def step(x: int) -> int:
        if x == 2:
            raise end
        return x

    kept = Kept()
    with pytest.raises(type(end)):
        running(step, kept, left=3)(*calls(0, 1, 2, 3))
    assert sorted(kept.value) == [0, 1]


class Panic(BaseException):
    """As of a library in another language."""


def panicking(x: int) -> int:
    if x == 1:
        raise Panic("out of bounds")
    return x


async def panicking_async(x: int) -> int:
    return panicking(x)


@pytest.mark.parametrize(("step", "is_async"), [(panicking, False), (panicking_async, True)])
def test_an_item_that_raises_what_is_no_exception_ends_alone(step: Callable[[int], Any], is_async: bool) -> None:
    called = running(step, is_async=is_async)
    attempt = (lambda *them: asyncio.run(called(*them))) if is_async else called
    with pytest.raises(BatchFailed) as end:
        attempt(*calls(0, 1, 2))
    verdicts = {number: outcome.outcome for number, outcome in outcomes(end.value.entries).items()}
    assert verdicts == {0: Verdict.COMPLETED, 1: Verdict.CRASHED, 2: Verdict.COMPLETED}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 does not tell who cancels")
def test_an_item_that_cancels_itself_ends_alone() -> None:
    async def step(x: int) -> int:
        if x == 1:
            raise asyncio.CancelledError
        return x

    with pytest.raises(BatchFailed) as end:
        asyncio.run(running(step, is_async=True)(*calls(0, 1, 2)))
    verdicts = {number: outcome.outcome for number, outcome in outcomes(end.value.entries).items()}
    assert {number for number, verdict in verdicts.items() if verdict is Verdict.COMPLETED} == {0, 2}


def test_an_attempt_that_was_given_up_begins_no_further_item_and_saves_nothing() -> None:
    seen: list[int] = []
    kept, over = Kept(), False

    def step(x: int) -> None:
        nonlocal over
        seen.append(x)
        over = x == 1

    running(step, kept, given_up=lambda: over)(*calls(0, 1, 2, 3))
    assert (seen, kept.saves) == ([0, 1], 0)


def test_an_async_attempt_that_is_ended_saves_what_it_has() -> None:
    async def ended(kept: Kept) -> None:
        last = asyncio.Event()

        async def step(x: int) -> int:
            if x == 1:
                await asyncio.Event().wait()
            if x == 2:
                last.set()
            return x

        attempt = asyncio.ensure_future(running(step, kept, is_async=True)(*calls(0, 1, 2)))
        await last.wait()
        attempt.cancel()
        await attempt

    kept = Kept()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ended(kept))
    assert sorted(kept.value) == [0, 2]


def test_an_item_without_its_upstream_is_not_called() -> None:
    lost, value = failed(ValueError("upstream")), ValueError("a value like any other")
    seen: list[object] = []
    entries = unpacked(running(seen.append)(*calls(1, 2, 3, needs={0: [lost], 1: [value]})))
    assert (seen, sorted(entries)) == ([2, 3], [1, 2])


def test_the_mark_of_a_failure_travels_only_where_it_is_meant_to() -> None:
    class Stubborn(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    for error in (ValueError("x"), Stubborn("x")):
        assert not stands_for_failure(error)
        assert stands_for_failure(failed(error))
    assert not stands_for_failure(loads(dumps(failed(ValueError("x")))))
    assert stands_for_failure(loads(dumps(Marked(ValueError("x")))))


class TestHowOftenItSaves:
    """A save writes all outcomes, so the bytes of a batch of n items must not grow with n times n."""

    def ended(self, progress: BatchProgress, clock: Clock, seconds: float, items: int = 1000) -> list[float]:
        """When it saved, while so many items of one length ended."""
        saved = []
        for number in range(items):
            clock.now += seconds
            progress.entries[number] = b"{}", b"x"
            if progress.due:
                progress.save()
                saved.append(clock.now)
        return saved

    def test_quick_items_are_saved_together(self) -> None:
        clock, kept = Clock(), Kept()
        checkpoint: Any = kept
        assert self.ended(BatchProgress(checkpoint, clock), clock, 0.0009) == []
        progress = BatchProgress(checkpoint, clock)
        progress.entries[0] = b"{}", None
        progress.save()
        assert kept.saves == 1

    def test_between_saves_passes_more_time_the_longer_it_lasts(self) -> None:
        clock, checkpoint = Clock(), Kept()
        moments = self.ended(BatchProgress(checkpoint, clock), clock, 1.5)  # type: ignore[arg-type]
        pauses = [after - before for before, after in itertools.pairwise(moments)]
        assert min(pauses) >= LEAST_SECONDS
        assert max(pauses) < MOST_SECONDS + 2
        assert pauses[0] < 600 / AGE <= pauses[-1]
        assert len(moments) < 1000 / 8

    def test_a_save_that_takes_long_is_rare(self) -> None:
        clock, kept = Clock(), Kept()

        class Slow(Kept):
            def save(self, value: Any) -> None:
                clock.now += 10
                super().save(value)

        kept = Slow()
        checkpoint: Any = kept
        self.ended(BatchProgress(checkpoint, clock), clock, 1.0)
        assert kept.saves * 10 < clock.now / (SHARE / 1.2)

    def test_nothing_new_is_not_saved_again(self) -> None:
        clock, kept = Clock(), Kept({0: (b"{}", None)})
        checkpoint: Any = kept
        progress = BatchProgress(checkpoint, clock)
        progress.load()
        clock.now = 100
        progress.save()
        assert (progress.due, kept.saves, progress.entries) == (False, 0, {0: (b"{}", None)})

    def test_a_save_that_fails_costs_the_attempt_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        kept = Kept()
        kept.broken = True

        def step(x: int) -> int:
            if x:
                raise ValueError("x")
            return x

        with pytest.raises(BatchFailed):
            running(step, kept, left=1)(*calls(0, 1))
        assert "the progress of the batch was not saved: no bucket" in capsys.readouterr().err


def test_a_failed_batch_keeps_its_entries_when_it_travels() -> None:
    error = BatchFailed("1 of 2 items failed.", {0: (b"{}", b"x")})
    copy = loads(dumps(error))
    assert (str(copy), copy.entries) == ("1 of 2 items failed.", {0: (b"{}", b"x")})


def test_the_item_is_known_while_it_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = unpacked(running(lambda _: batches.ITEM.get().name)(*calls(1, 2)))  # type: ignore[union-attr]
    assert [deserialize(entry[1], "json") for entry in entries.values()] == ["item-0", "item-1"]
    assert batches.ITEM.get() is None
