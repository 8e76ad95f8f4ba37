"""Submitting the runs of one `.map` several at a time: order and errors are those of a loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.interrupted import press_until
from tests.unit.sdk.harness import Stage

from podtask import backends, flow, task, unmapped
from podtask.context import FLOW_RUN
from podtask.core import clock
from podtask.core.api.names import State
from podtask.engine import registry
from podtask.engine.submission import Together


@task
def add(x, y=0):
    return x + y


class Slow(Stage):
    """A backend whose submissions meet: none returns before `meet` are under way; numbers in `bad` are refused."""

    name = "slow"
    detachable = False
    remote = False
    own_interpreter = False
    submits_at_once = 4

    def __init__(self, home: Path, meet: int = 1, bad: frozenset[int] = frozenset()) -> None:
        super().__init__(home)
        self.order: list[str] = []
        self._meet = threading.Barrier(meet)
        self._bad = bad
        self._lock = threading.Lock()
        self.most = self.now = 0

    def submit(self, run: Any) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self._meet.wait(30)
        with self._lock:
            self.now -= 1
            number = int(run.key.dynamic_key)
            if number in self._bad:
                raise OSError(f"refused {number}")
            super().submit(run)
            self.paper.returns(run, run.inputs.parameters["x"])


@pytest.fixture
def put(tmp_path: Path) -> Iterator[Any]:
    def use(backend: Any) -> Any:
        backends.register("slow", lambda _: backend)
        return backend

    yield use
    registry._factories.pop("slow", None)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_PROGRESS", "off")


def test_submissions_go_out_together_and_futures_come_in_order(tmp_path: Path, put: Any) -> None:
    backend = put(Slow(tmp_path, meet=4))

    @flow(backend="slow")
    def mapping():
        return [(future.result(), future.task_run.key.dynamic_key) for future in add.map(range(40), unmapped(0))]

    assert mapping() == [(number, str(number)) for number in range(40)]
    assert backend.most == 4


def test_the_first_refusal_is_raised_at_the_call_and_no_later_element_is_begun(tmp_path: Path, put: Any) -> None:
    put(Slow(tmp_path, bad=frozenset({10, 11})))
    taken = []

    @flow(backend="slow")
    def mapping():
        with pytest.raises(OSError, match="refused 10"):
            add.map(range(1000))
        from podtask import get_run_context

        taken.extend(run.key.dynamic_key for run in get_run_context().run.runs)
        return "survived"

    assert mapping() == "survived"
    assert taken[:10] == [str(number) for number in range(10)]
    assert not {"10", "11"} & set(taken)
    assert len(taken) < 20


def test_an_element_that_cannot_be_pickled_stops_there_and_earlier_ones_were_submitted(
    tmp_path: Path, put: Any
) -> None:
    put(Slow(tmp_path))
    taken = []

    @flow(backend="slow")
    def mapping():
        from podtask import UnpicklableArgument, get_run_context

        with pytest.raises(UnpicklableArgument, match="'x' of task 'add'"):
            add.map([1, 2, threading.Lock(), 3])
        taken.extend(run.key.dynamic_key for run in get_run_context().run.runs)
        return "survived"

    assert mapping() == "survived"
    assert taken == ["0", "1"]


def test_a_map_over_nothing_is_an_empty_list(tmp_path: Path, put: Any) -> None:
    put(Slow(tmp_path))

    @flow(backend="slow")
    def mapping():
        return len(add.map([]))

    assert mapping() == 0


def test_an_interrupt_leaves_cancellations_that_nobody_answers_behind() -> None:
    never = threading.Event()
    begun = threading.Event()

    def cancel(run: Any) -> None:
        begun.set()
        never.wait()

    def interrupted() -> Iterator[Any]:
        yield object()
        assert begun.wait(30)
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            Together(cancel, 2, stays=False).submit(interrupted())
    finally:
        never.set()


class Ending:
    """A backend whose cancellations meet: none ends its run before `meet` are under way; `stuck` raises afterwards."""

    name, detachable, remote, own_interpreter, submits_at_once = "slow", False, False, False, 4

    def __init__(self, meet: int, stuck: str = "") -> None:
        self._meet = threading.Barrier(meet)
        self._stuck = stuck

    def submit(self, run: Any) -> None:
        run.report(replace(run.status, state=State.RUNNING))

    def cancel(self, run: Any) -> None:
        self._meet.wait(30)
        run.report(replace(run.status, state=State.CANCELLED, finished_at=clock.now()))
        if run.key.dynamic_key == self._stuck:
            raise OSError(f"no answer for {self._stuck}")

    def close(self) -> None:
        """Nothing is held."""


def test_the_runs_of_a_flow_are_cancelled_as_many_at_a_time_as_the_backend_takes_and_an_error_keeps_none(
    put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put(Ending(meet=4, stuck="0"))
    futures: list[Any] = []

    @flow
    def inner():
        futures.extend(add.map(range(4)))
        raise KeyboardInterrupt

    @flow(backend="slow")
    def interrupted():
        futures.extend(add.map(range(4)))
        inner()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [future.task_run.state.name for future in futures] == ["Cancelled"] * 8
    assert [record.message.partition(" goes on, ")[2] for record in caplog.records] == [
        "it could not be cancelled: no answer for 0"
    ] * 2


class Interrupted(Ending):
    """A backend on which Ctrl-C comes while the last of `calls` is on its way; that one arrives all the same."""

    def __init__(self, calls: int) -> None:
        super().__init__(meet=1)
        self._last = str(calls - 1)
        self.heard = threading.Event()
        self.cancelled: list[str] = []

    def submit(self, run: Any) -> None:
        if run.key.dynamic_key == self._last:
            press_until(self.heard)
        super().submit(run)

    def cancel(self, run: Any) -> None:
        assert run.state.is_running(), "it was not there yet"
        self.cancelled.append(run.key.dynamic_key)
        super().cancel(run)


@pytest.mark.parametrize("calls", [1, 9])
def test_a_call_on_its_way_when_ctrl_c_comes_arrives_and_is_cancelled(put: Any, calls: int) -> None:
    backend = put(Interrupted(calls))

    def hear(*_: Any) -> None:
        backend.heard.set()
        raise KeyboardInterrupt

    @flow(backend="slow")
    def interrupted():
        add(0) if calls == 1 else add.map(range(calls))

    before = signal.signal(signal.SIGINT, hear)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(backend.cancelled) == [str(number) for number in range(calls)]


class Late(Ending):
    """A backend on which the time of the flow run is over while a call is on its way."""

    def submit(self, run: Any) -> None:
        around = FLOW_RUN.get()
        assert around is not None
        around.run.time_out()
        super().submit(run)


def test_a_call_on_its_way_when_the_time_of_its_flow_is_over_is_cancelled_too(put: Any) -> None:
    put(Late(meet=1))

    @flow(backend="slow")
    def overdue():
        return add(1).wait(timeout=30).name

    assert overdue() == "Cancelled"
