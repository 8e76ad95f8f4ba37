"""A bucket that does not answer holds threads of its own only, and is asked by one call at a time."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from podtask.core.storage import NotStored, StoreRefused, StoreUnavailable
from podtask.core.storage.memory import MemoryStore
from podtask_operator.storage.calls import FIRST_PAUSE, LAST_PAUSE, THREADS, StoreCalls
from podtask_operator.storage.fenced import Fenced, WriteFenced


class Bucket:
    """Answers, or does not; counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = StoreUnavailable("the bucket is away")

    def get(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "stored"


class Scene:
    """Calls by a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.bucket = Bucket()
        self.calls = StoreCalls(lambda: self.now)

    async def get(self) -> str:
        try:
            return await self.calls(self.bucket.get)
        except StoreUnavailable as error:
            return str(error)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_after_one_failure_the_others_fail_at_once_and_say_why(scene: Scene) -> None:
    async def ask() -> list[str]:
        return [await scene.get() for _ in range(100)]

    answers = asyncio.run(ask())
    assert scene.bucket.asked == 1
    assert answers[0] == "the bucket is away"
    assert set(answers[1:]) == {"not asked, because the bucket did not answer a moment ago: the bucket is away"}


def test_once_the_pause_is_over_one_call_finds_out_and_the_others_wait_for_it(scene: Scene) -> None:
    async def ask() -> list[str]:
        await scene.get()
        scene.now += FIRST_PAUSE
        scene.bucket.error = None
        together = await asyncio.gather(*(scene.get() for _ in range(10)))
        return [*together, await scene.get()]

    answers = asyncio.run(ask())
    assert scene.bucket.asked == 3
    assert answers.count("stored") == 2
    assert answers[-1] == "stored"


def test_a_bucket_that_stays_away_is_asked_less_and_less_often_and_at_least_every_few_seconds(scene: Scene) -> None:
    async def ask() -> list[float]:
        times = []
        for _ in range(600):
            before = scene.bucket.asked
            await scene.get()
            if scene.bucket.asked > before:
                times.append(scene.now)
            scene.now += 0.1
        return times

    times = asyncio.run(ask())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(FIRST_PAUSE, abs=0.2)
    assert gaps[-1] == pytest.approx(LAST_PAUSE, abs=0.2)


@pytest.mark.parametrize("answer", [StoreRefused("no"), NotStored("none")], ids=repr)
def test_a_refusal_and_an_absence_are_answers(scene: Scene, answer: Exception) -> None:
    scene.bucket.error = answer

    async def ask() -> None:
        for _ in range(5):
            with pytest.raises(type(answer)):
                await scene.calls(scene.bucket.get)

    asyncio.run(ask())
    assert scene.bucket.asked == 5


def test_a_write_that_the_lease_forbids_says_nothing_about_the_bucket(scene: Scene, tmp_path: Path) -> None:
    fenced = Fenced(MemoryStore(), lambda: False)
    (tmp_path / "file").write_bytes(b"1")
    writes: list[Callable[[], object]] = [
        lambda: fenced.put("a", b"1"),
        lambda: fenced.put_file("a", tmp_path / "file"),
        lambda: fenced.delete("a"),
    ]

    async def ask() -> str:
        for write in writes:
            with pytest.raises(WriteFenced):
                await scene.calls(write)
        scene.bucket.error = None
        return await scene.get()

    assert asyncio.run(ask()) == "stored"


class Closing(MemoryStore):
    """Every other call meets a connection that the server has closed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> str:
        self.calls += 1
        if self.calls % 2:
            raise StoreUnavailable("closed", code="ConnectionClosedError")
        return super().put(key, data, if_absent=if_absent)


def test_a_write_that_met_a_closed_connection_is_allowed_anew_and_sent_once_more() -> None:
    asked: list[int] = []
    store = Closing()
    fenced = Fenced(store, lambda: len(asked) < 3 and not asked.append(1))  # type: ignore[func-returns-value]
    fenced.put("a", b"1")
    assert store.get("a") == b"1"
    assert len(asked) == 2
    with pytest.raises(WriteFenced):  # lost between the two
        fenced.put("a", b"2")
    assert store.get("a") == b"1"


def test_calls_that_hang_leave_the_threads_of_everybody_else_alone(scene: Scene) -> None:
    gate, under_way = threading.Event(), threading.Barrier(THREADS + 1, timeout=60)

    def hangs() -> None:
        under_way.wait()
        gate.wait(60)

    async def ask() -> bool:
        calls = [asyncio.create_task(scene.calls(hangs)) for _ in range(THREADS)]
        await asyncio.to_thread(under_way.wait)
        elsewhere = await asyncio.to_thread(lambda: True)
        gate.set()
        await asyncio.gather(*calls)
        return elsewhere

    assert asyncio.run(ask())


def test_what_a_task_carries_along_is_there_in_the_thread(scene: Scene) -> None:
    about: contextvars.ContextVar[str] = contextvars.ContextVar("about")

    async def ask() -> str:
        about.set("team/hello")
        return await scene.calls(about.get)

    assert asyncio.run(ask()) == "team/hello"
