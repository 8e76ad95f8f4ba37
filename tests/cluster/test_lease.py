"""Two operators for one namespace: one serves, the other waits, and takes over when the first one is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.kit import Object, World, eventually, task_run
from tests.cluster.operator_process import Operator, without_installed

from podtask_operator.process.leader_election import DURATION, RENEW, name_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

ONE = "def main():\n    return 1\n"
STARTS_WITHIN = 10.0


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[list[Operator]]:
    folder = tmp_path_factory.mktemp("operators")
    with without_installed():
        made = [Operator(folder, world.namespace, PODTASK_IDENTITY="first")]
        until_ready(made[0])
        made.append(Operator(folder, world.namespace, PODTASK_IDENTITY="second"))
        yield made
        for one in made:
            one.end()


def until_ready(operator: Operator, seconds: float = 30) -> float:
    """How long it took."""
    return waited(f"ready; {operator.told()}", lambda: operator.ready().get("ready") is True, seconds)


def waited(what: str, seen: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    eventually(what, seen, seconds)
    return time.monotonic() - began


def lease(world: World) -> Object:
    return json.loads(world.kubectl("get", "lease", name_of([world.namespace]), "-o", "json"))


def holder(world: World) -> str:
    return lease(world)["spec"]["holderIdentity"]


def test_the_second_one_waits_alive_but_not_ready(operators: list[Operator], world: World) -> None:
    first, second = operators
    lease = f"Lease {world.namespace}/{name_of([world.namespace])}"
    rest = ["the first list of TaskRuns and pods", "the watches of TaskRuns and pods"]
    expected = [f"{lease}: it is held by first", *rest]
    waited("waiting for the first", lambda: second.ready().get("waitingFor") == expected, 30)
    assert second.health()["taskRuns"] == 0
    assert first.ready()["ready"] is True
    world.apply(task_run("served-by-first", ONE))
    assert world.finished("served-by-first")["status"]["state"] == "Completed"


def test_at_rest_the_lease_is_renewed_by_its_holder_and_nothing_else_is_written(
    operators: list[Operator], world: World
) -> None:
    def version(obj: Object) -> int:
        return int(obj["metadata"]["resourceVersion"])

    run, before = version(world.runs["served-by-first"]), version(lease(world))
    waited("renewed", lambda: version(lease(world)) > before, 2 * RENEW)
    assert holder(world) == "first"
    assert version(world.runs["served-by-first"]) == run
    assert all(operator.alive for operator in operators)


def test_the_second_takes_over_when_the_first_is_killed(operators: list[Operator], world: World) -> None:
    first, second = operators
    first.kill()
    assert until_ready(second, DURATION + STARTS_WITHIN) <= DURATION + STARTS_WITHIN
    assert holder(world) == "second"
    world.apply(task_run("served-by-second", ONE))
    assert world.finished("served-by-second")["status"]["state"] == "Completed"


def test_sigterm_hands_over_at_once(operators: list[Operator], world: World, tmp_path: Path) -> None:
    _, second = operators
    third = Operator(tmp_path, world.namespace, PODTASK_IDENTITY="third")
    operators.append(third)
    waited("waiting", lambda: "held by second" in str(third.ready().get("waitingFor")), 30)
    second.stop()
    assert until_ready(third) < DURATION - RENEW, "it waited until the Lease was over"
    assert holder(world) == "third"


@pytest.mark.long
def test_a_holder_that_was_frozen_too_long_writes_nothing_more_and_ends(
    operators: list[Operator], world: World, tmp_path: Path
) -> None:
    third = operators[-1]
    third.freeze()
    fourth = Operator(tmp_path, world.namespace, PODTASK_IDENTITY="fourth")
    operators.append(fourth)
    until_ready(fourth, DURATION + STARTS_WITHIN)
    world.apply(task_run("served-by-fourth", ONE))
    assert world.finished("served-by-fourth")["status"]["state"] == "Completed"
    third.thaw()
    assert third.died(30) == 1
    assert "was taken over by fourth while third could not renew it. This process ends" in third.told()
    assert world.pods_of("served-by-fourth") == ["served-by-fourth-1"]
    fourth.stop()
