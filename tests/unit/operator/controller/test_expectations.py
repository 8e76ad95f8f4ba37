"""What the operator did and no watch has shown yet: whose it is, how long it counts, and that nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import CACHED, NOW, World, reconciling

from podtask.core.api.names import Reason
from podtask.core.lifecycle.model import Why
from podtask.core.lifecycle.pod_expectation import Creation
from podtask.core.storage import StoreUnavailable
from podtask_operator.controller.expectations import Expectations, Learned
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiUnavailable
from podtask_operator.pods import build
from podtask_operator.task_runs.cache_key import Composed
from podtask_operator.task_runs.key import Key
from podtask_operator.task_runs.parse import TaskRun

A, B = Key("team", "a"), Key("team", "b")


def test_a_record_that_was_sent_counts_until_another_version_is_stored() -> None:
    run = Expectations().of(A, "1")
    run.recording(1, NOW, "7")
    assert not run.stored("7")
    assert run.stored("8")
    assert run.expected.sent_against is None


def test_a_record_that_was_answered_is_in_doubt_no_more() -> None:
    run = Expectations().of(A, "1")
    run.recording(1, NOW, "7")
    run.answered()
    assert run.stored("7")


def test_a_look_at_an_attempt_keeps_the_records_of_the_next_one() -> None:
    run = Expectations().of(A, "1")
    run.recording(1, NOW, "7")
    run.recorded(1)
    run.accepted(1, "pod", NOW)
    run.recording(2, NOW, "9")  # and its answer is lost: what is stored may say attempt 1 for some time
    run.learn(Learned(pod=run.expected.pod_of(1).shown("pod")))
    assert run.expected.records == {(2, NOW)}
    run.recorded(2)
    assert run.expected.records == frozenset()
    assert run.expected.pod_of(2).creation is Creation.UNPOSTED


def test_of_an_attempt_that_another_process_recorded_nothing_is_expected() -> None:
    run = Expectations().of(A, "1")
    run.recorded(1)
    run.unanswered(1)
    assert run.expected.pod_of(2).creation is Creation.UNKNOWN
    assert run.expected.pod_of(2).missing().creation is Creation.GONE


def test_refusals_in_a_row_are_tried_again_later_and_later() -> None:
    run, why, waits = Expectations().of(A, "1"), Why(Reason.QUOTA, "exceeded quota"), []
    run.recorded(1)
    for _ in range(7):
        run.refused(1, why, NOW, final=False)
        refusal = run.expected.pod.refusal
        assert refusal is not None
        waits.append((refusal.retry_at - NOW).total_seconds())
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_those_who_race_wait_for_the_first_until_it_leaves() -> None:
    every = Expectations()
    for key in (A, B):
        every.of(key, key.name).learn(Learned(composed=Composed("k")))
    assert (every.races.first(A, "k"), every.races.first(B, "k")) == (None, A)
    every.of(A, "a").withdraw()
    assert every.races.due() == [B]
    every.of(B, "b").join("another")
    every.of(B, "b").leave()
    assert len(every.races) == 0


def test_a_run_that_is_gone_joins_no_race() -> None:
    every = Expectations()
    run = every.of(A, "1")
    every.forget(A)
    run.join("k")
    assert len(every.races) == 0


def test_a_reconcile_of_an_old_object_does_not_change_what_is_expected_of_its_namesake() -> None:
    every = Expectations()
    old, new = every.of(A, "old"), every.of(A, "new")
    new.join("k")
    old.recording(1, NOW, "7")
    old.forget()
    assert every.of(A, "new") is new
    assert (new.expected.claimed, every.races.first(B, "k")) == (False, A)


@reconciling
async def test_a_namesake_that_comes_during_a_look_keeps_its_place_in_the_race(world: World) -> None:
    world.add("hello", CACHED)
    world.add("other", CACHED)
    lookup = world.objects.lookup

    async def replaced(*asked: Any) -> Any:
        world.objects.lookup = lookup  # type: ignore[method-assign]
        world.cluster.put_run(world.api.add("hello", CACHED, uid="new"))
        await world.look("hello")
        return await lookup(*asked)

    world.objects.lookup = replaced  # type: ignore[method-assign]
    with pytest.raises(Later):
        await world.look("hello")
    assert (world.expected("hello").uid, world.expected("hello").cache_key) == ("new", "k")
    await world.look("other")
    assert list(world.api.pods) == ["hello-1"]


@reconciling
async def test_a_pod_that_a_late_post_created_and_somebody_deleted_is_not_created_again(world: World) -> None:
    world.add("hello")
    lost: Any = ApiUnavailable("pod: the answer was lost")
    world.api.refused["pod"] = lost
    with pytest.raises(Later):
        await world.look("hello")
    late = build.build(TaskRun.parse(world.api.runs["hello"]), 1, SETTINGS)
    apply_secret = world.api.apply_secret

    async def meanwhile(*asked: Any) -> None:
        world.api.refused.clear()
        await apply_secret(*asked)
        await world.api.create_pod("team", late)

    world.api.apply_secret = meanwhile  # type: ignore[method-assign]
    await world.look("hello")  # it is not there, and then its name is taken
    world.api.apply_secret = apply_secret  # type: ignore[method-assign]
    world.cluster.forget_pod(world.api.pods.pop("hello-1"))
    await world.look("hello")
    assert list(world.api.pods) == ["hello-2"]
    assert world.status("hello")["attempts"][0]["reason"] == "PodDeleted"


@reconciling
async def test_a_datagram_is_followed_once_although_the_store_is_away(world: World) -> None:
    world.add("hello")
    await world.look("hello")
    status = {"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]}
    world.cluster.put_pod(world.api.touch_pod("hello-1", status))

    async def away(*_: Any) -> None:
        raise StoreUnavailable("no answer")

    world.objects.outcome = away  # type: ignore[method-assign]
    world.ring("hello")
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.touch("hello", cancel=True))
    await world.look("hello")
    assert "stop hello-1" in world.api.calls


@reconciling
async def test_of_a_run_whose_end_was_told_only_that_is_remembered(world: World) -> None:
    ended = {"state": "Completed", "finishedAt": "2026-01-02T03:30:00Z"}
    world.add("a", status=ended)
    world.add("b", {"upstream": [{"taskRun": "a"}]})
    expectations = world.cluster.expectations
    assert expectations.held(A, "uid-a") is None, "it had ended when it was seen first"
    await world.look("a")
    assert "b" in world.woken()
    assert expectations.held(A, "uid-a") is None
    world.cluster.put_run(world.api.touch("a", note="x"))
    await world.look("a")
    assert "b" not in world.woken(), "its end is told once"
    assert expectations.held(A, "uid-a") is None
    world.cluster.forget_run(A)
    world.add("a", status=ended, uid="another")
    await world.look("a")
    assert "b" in world.woken(), "another run of the name"


@reconciling
async def test_grants_that_are_to_be_revoked_keep_the_expectations_of_an_ended_run(world: World) -> None:
    world.add("a")
    await world.look("a")
    expectations = world.cluster.expectations
    run = expectations.held(A, "uid-a")
    assert run is not None
    run.announce()
    run.renew_at(NOW)
    expectations.settle(A, "uid-a")
    assert expectations.held(A, "uid-a") is run
    run.revoked()
    expectations.settle(A, "uid-a")
    assert expectations.held(A, "uid-a") is None
