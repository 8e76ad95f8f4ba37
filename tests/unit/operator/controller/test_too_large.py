"""A TaskRun just below etcd's limit ends with a sentence, and a record that is refused holds nobody up."""

from __future__ import annotations

import json

import pytest
from tests.support.operator_world import CACHED, World, reconciling

from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError

ENV = [{"name": f"A{n}", "value": "x" * 32768} for n in range(46)]
"""1.5 MB: the API server takes it, and hardly anything beside it."""


@reconciling
async def test_it_ends_as_invalid_at_the_first_look(world: World) -> None:
    world.add("hello", {"env": ENV, **CACHED})
    await world.look("hello")
    status = world.status("hello")
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert status["message"].startswith("The TaskRun has 15")
    assert len(world.cluster.expectations.races) == 0


@reconciling
async def test_where_no_sentence_fits_the_end_alone_is_written(world: World) -> None:
    world.add("hello", {"env": ENV})
    size = len(json.dumps(world.api.runs["hello"]))
    world.api.most_bytes = size + 700
    await world.look("hello")
    status = world.status("hello")
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "message" not in status
    assert world.api.calls == ["status hello"]


@reconciling
async def test_where_not_even_that_fits_an_event_says_it_once(world: World) -> None:
    world.add("hello", {"env": ENV})
    world.api.most_bytes = 1000
    for _ in range(2):
        with pytest.raises(Later):
            await world.look("hello")
    (event,) = await world.events()
    assert event["reason"] == "InvalidSpec"
    assert "at most 1048576 are read" in event["message"]


@reconciling
async def test_identical_runs_go_on_when_the_first_record_of_the_oldest_is_refused(world: World) -> None:
    for name in ("a", "b"):
        world.add(name, CACHED)
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    with pytest.raises(ApiError):
        await world.look("a")
    world.api.refused.clear()  # it is refused for ever, and alone
    assert not world.expected("a").claimed
    await world.look("b")
    assert list(world.api.pods) == ["b-1"]


@reconciling
async def test_a_rival_that_waits_already_is_woken_by_the_refusal(world: World) -> None:
    for name in ("a", "b"):
        world.add(name, CACHED)
    world.api.lost.add("status")
    with pytest.raises(Later):
        await world.look("a")  # recorded, as far as anybody knows: it leads
    world.api.runs["a"]["status"] = {}  # it was not
    await world.look("b")
    assert world.api.pods == {}
    world.woken()
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    world.cluster.put_run(world.api.touch("a"))
    with pytest.raises(ApiError):
        await world.look("a")
    world.api.refused.clear()
    assert world.woken() == {"b"}
    await world.look("b")
    assert list(world.api.pods) == ["b-1"]


@reconciling
async def test_two_that_are_refused_for_ever_do_not_wake_each_other_for_ever(world: World) -> None:
    for name in ("a", "b"):
        world.add(name, CACHED)
    world.api.refused["status"] = ApiError(422, "Invalid", "no")
    woken = []
    for name in ("a", "b", "a", "b"):
        with pytest.raises(ApiError):
            await world.look(name)
        woken.append(world.woken())
    assert woken[1:] == [set(), set(), set()]
