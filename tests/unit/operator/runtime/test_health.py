"""When the process counts as alive: its watches are up, lasted, and were heard of."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from tests.unit.operator.runtime.test_metrics import scraped

from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.controller.work_queue import WorkQueue
from podtask_operator.process.probes import PortTaken, Server
from podtask_operator.runtime.health import AGE_LIMIT, DOWN_LIMIT, LASTING, Liveness, Watches
from podtask_operator.task_runs.key import Key


class Held:
    """A Lease as far as the probes ask it."""

    waits_for: str | None = None
    stands_by = False

    def __str__(self) -> str:
        return "Lease system/podtask-operator"

    def valid(self) -> bool:
        return self.waits_for is None


def test_watches_that_fail_again_and_again_at_once_count_as_down() -> None:
    time = 0.0
    watches = Watches(0, lambda: time)
    liveness = Liveness([watches])
    watches.watching(up=True)
    assert liveness.down == 0
    while time <= DOWN_LIMIT:
        watches.watching(up=False)
        time += 30
        assert liveness.down == time
        watches.watching(up=True)
    assert not liveness.alive
    time += LASTING
    assert liveness.alive
    watches.watching(up=False)
    assert liveness.down == 0


def test_a_watch_that_was_never_heard_of_is_no_life_however_long_kopf_is_up() -> None:
    time = 0.0
    watches = Watches(2, lambda: time)
    liveness = Liveness([watches])
    watches.watching(up=True)
    watches.heard("/one")
    assert liveness.deaf
    time = AGE_LIMIT - 1
    watches.heard("/one")
    assert liveness.alive
    time = AGE_LIMIT
    assert (liveness.age, liveness.down, liveness.alive) == (AGE_LIMIT, 0, False)


def test_the_age_is_that_of_the_watch_that_is_silent_longest() -> None:
    time = 0.0
    task_runs, pods = Watches(2, lambda: time), Watches(1, lambda: time)
    liveness = Liveness([task_runs, pods])
    assert (liveness.age, liveness.deaf) == (0, True)
    for watches, names in ((task_runs, ("/one", "/two")), (pods, ("/pods",))):
        watches.watching(up=True)
        for name in names:
            watches.heard(name)
    assert (liveness.age, liveness.deaf) == (0, False)
    time = 100.0
    task_runs.heard("/one")
    pods.heard("/pods")
    assert (liveness.age, liveness.deaf, liveness.alive) == (100, False, True)
    pods.watching(up=False)
    assert liveness.deaf


def test_watches_that_end_by_themselves_are_counted_as_a_failure_and_those_that_are_stopped_are_not() -> None:
    def ends() -> float:
        return scraped()["podtask_watch_failures_total", ()]

    async def test() -> None:
        stop, watches, before = asyncio.Event(), Watches(), ends()
        with watches.up(stop):
            assert watches.deaf
            watches.heard("/pods")
            assert not watches.deaf
        assert (watches.deaf, ends()) == (True, before + 1)
        with watches.up(stop):
            stop.set()
        assert ends() == before + 1

    asyncio.run(test())


def server(liveness: Liveness, lease: Held, port: int) -> Server:
    async def work(_: Key) -> None:
        return None

    return Server(port, liveness, WorkQueue(work, 1), ClusterCache(), lease)  # type: ignore[arg-type]


async def ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def test_one_that_waits_is_alive_but_not_ready_and_says_for_what() -> None:
    async def test() -> None:
        watches, lease, port = Watches(), Held(), free_port()
        liveness = Liveness([watches])
        probes = server(liveness, lease, port)
        await probes.start()
        try:
            lease.waits_for = "it is held by another"
            assert (await ask(port, "/healthz"))[0] == 200
            status, text = await ask(port, "/readyz")
            assert status == 503
            assert "Lease system/podtask-operator: it is held by another" in text
            assert (await ask(port, "/readyz?standby=true"))[0] == 503, "whether it could take over nobody knows yet"
            lease.stands_by = True
            assert [(await ask(port, f"/readyz{query}"))[0] for query in ("", "?standby=true", "?standby=x")] == [
                503,
                200,
                503,
            ]
            lease.stands_by = False
            assert "podtask_holds_lease 0.0" in (await ask(port, "/metrics"))[1]
            lease.waits_for, liveness.filled = None, True
            watches.watching(up=True)
            assert "the watches of TaskRuns and pods" in (await ask(port, "/readyz"))[1]
            watches.heard("/pods")
            assert await ask(port, "/readyz") == (200, '{"ready": true, "waitingFor": []}')
            assert "podtask_holds_lease 1.0" in (await ask(port, "/metrics"))[1]
        finally:
            await probes.stop()

    asyncio.run(test())


def test_a_port_that_is_taken_is_said_with_the_setting_that_changes_it() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            probes = server(Liveness(), Held(), taken.getsockname()[1])
            with pytest.raises(PortTaken, match="PODTASK_HEALTH_PORT"):
                await probes.start()
            await probes.stop()

    asyncio.run(test())
