"""A look writes nothing: neither into the informer cache nor into the expectations. It returns what it has learned."""

from __future__ import annotations

import copy
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import CACHED, ENDED, NOW, World, reconciling

from podtask.core.lifecycle.model import Observed, Presence
from podtask.core.lifecycle.pod_expectation import Creation
from podtask_operator.controller.expectations import Learned
from podtask_operator.controller.observer import Observer
from podtask_operator.controller.work_queue import Later
from podtask_operator.task_runs.key import Key

HELLO = Key("team", "hello")
RECORDED: dict[str, Any] = {
    "state": "Pending",
    "attempts": [{"number": 1, "cause": "First", "recordedAt": "2026-01-02T04:00:00Z"}],
    "attemptsTotal": 1,
}


async def look(world: World) -> tuple[Observed, Learned]:
    """One look at `hello`, which leaves everything as it was."""
    run = world.cluster.runs[HELLO]
    expected = world.cluster.expectations.of(HELLO, run.uid).look()
    before = image(world)
    observer = Observer(world.api, world.cluster, world.objects, SETTINGS)  # type: ignore[arg-type]
    answer = await observer.observe(HELLO, run, expected, NOW)
    assert image(world) == before
    return answer


def image(world: World) -> Any:
    """All that the process holds, as values."""
    cluster = world.cluster
    expected = {key: cluster.expectations.of(key, run.uid).expected for key, run in cluster.runs.items()}
    held = [cluster.runs, cluster.malformed, cluster.pods, vars(cluster.flow_runs), vars(cluster.slots)]
    return copy.deepcopy([*held, expected, vars(cluster.expectations.races)])


async def new(world: World) -> None:
    world.add("first", status=ENDED)
    world.add("hello", {**CACHED, "waitFor": [{"taskRun": "first"}]})


async def finished(world: World) -> None:
    world.add("hello", status=ENDED)


async def restarted(world: World) -> None:
    world.add("hello", status=RECORDED)


async def restarted_with_its_pod(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    world.restart()
    world.cluster.pods.clear()  # no watch has shown it


async def restarted_with_the_pod_of_another(world: World) -> None:
    await world.api.create_pod("team", {"metadata": {"name": "hello-1"}})
    world.add("hello", status=RECORDED)


async def recorded_without_an_answer(world: World) -> None:
    world.add("hello")
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.runs["hello"])


async def posted_without_an_answer(world: World) -> None:
    world.add("hello")
    world.api.lost.add("pod")
    with pytest.raises(Later):
        await world.look("hello")


async def in_an_unseen_flow_run(world: World) -> None:
    world.api.add_flow_run("etl", {"cancel": True})
    world.add("hello", flow_run="etl")


async def in_a_flow_run_that_is_gone(world: World) -> None:
    world.add("hello", flow_run="etl")


CASES: dict[str, tuple[Callable[[World], Awaitable[None]], Callable[[Observed, Learned], bool]]] = {
    "a run with a cache key": (
        new,
        lambda seen, learned: seen.cache is not None and learned.composed is not None and learned.composed.key == "k",
    ),
    "a run that has ended": (finished, lambda _, learned: learned == Learned()),
    "an attempt of another process": (
        restarted,
        lambda seen, learned: seen.presence is Presence.ABSENT and creation(learned) is Creation.GONE,
    ),
    "a pod that no watch has shown": (
        restarted_with_its_pod,
        lambda seen, learned: seen.pod is not None and len(learned.pods) == 1 and creation(learned) is Creation.SEEN,
    ),
    "a pod of somebody else": (
        restarted_with_the_pod_of_another,
        lambda seen, learned: seen.presence is Presence.FOREIGN and creation(learned) is Creation.UNKNOWN,
    ),
    "a record whose answer was lost": (
        recorded_without_an_answer,
        lambda seen, learned: seen.presence is Presence.UNPOSTED and creation(learned) is Creation.UNPOSTED,
    ),
    "a POST whose answer was lost": (
        posted_without_an_answer,
        lambda seen, learned: seen.presence is Presence.SEEN and creation(learned) is Creation.SEEN,
    ),
    "a flow run that no watch has shown": (
        in_an_unseen_flow_run,
        lambda seen, learned: seen.cancelled and learned.flow_runs["uid-etl"] is not None,
    ),
    "a flow run that is gone": (
        in_a_flow_run_that_is_gone,
        lambda seen, learned: seen.cancelled and learned.flow_runs == {"uid-etl": None},
    ),
}


def creation(learned: Learned) -> Creation | None:
    return learned.pod and learned.pod.creation


@pytest.mark.parametrize("case", CASES)
def test_a_look_returns_what_it_learned_and_changes_nothing(case: str) -> None:
    prepare, learns = CASES[case]

    @reconciling
    async def test(world: World) -> None:
        await prepare(world)
        assert learns(*await look(world))

    test()


def test_a_look_at_a_wide_fan_in_costs_as_many_steps_as_it_has_upstreams() -> None:
    costs = []
    for count in (50, 500):

        @reconciling
        async def test(world: World, count: int = count) -> None:
            for number in range(count):
                world.add(f"up{number}")
            upstream = [{"taskRun": f"up{number}", "parameter": f"p{number}"} for number in range(count)]
            world.add("hello", {"upstream": upstream})
            run = world.cluster.runs[HELLO]
            observer = Observer(world.api, world.cluster, world.objects, SETTINGS)  # type: ignore[arg-type]
            expected = world.cluster.expectations.of(HELLO, run.uid).look()
            steps = 0

            def trace(frame: Any, event: str, _: Any) -> Any:
                nonlocal steps
                if not frame.f_code.co_filename.endswith("observer.py"):
                    return None
                steps += event == "line"
                return trace

            before = sys.gettrace()
            sys.settrace(trace)
            try:
                await observer.observe(HELLO, run, expected, NOW)
            finally:
                sys.settrace(before)
            costs.append(steps)

        test()
    assert costs[1] < 11 * costs[0]
