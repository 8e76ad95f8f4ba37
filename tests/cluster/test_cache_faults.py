"""Single flight and the life of cache entries under faults: every run ends right, and none runs in vain.

One operator process serves the module's namespace; the tests kill it and start it again. Hits, misses and keys without
faults: `test_cache`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.kit import Object, World, let_go, task_run
from tests.cluster.operator_process import Operator, without_installed
from tests.cluster.test_faults import GATED, Place

from podtask.core.api.names import EVENT_ENTRY_DROPPED
from podtask.core.cache.entry import CacheEntry
from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

WHO = 'import os\n\ndef main():\n    return os.environ["PODTASK_TASK_RUN"]\n'
CROWD = [f"crowd-{n:02}" for n in range(32)]
LONG = 240
"""Seconds that a run may take on a machine that has much else to do."""


@pytest.fixture(scope="module")
def bucket(world: World) -> Bucket:
    """The namespace's folder."""
    return world.bucket


@pytest.fixture(scope="module")
def place(world: World, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with without_installed():
        made = Place(world, store, tmp_path_factory.mktemp("operators"))
        yield made
        made.operator.end()


def leads_and_is_awaited(place: Place, leader: str, follower: str, **cache: object) -> None:
    """A leader whose container runs until it is let go, and an identical run that waits for it."""
    place.world.apply(task_run(leader, GATED, cache={"key": leader, **cache}))
    place.running(leader)
    place.world.apply(task_run(follower, WHO, cache={"key": leader}))
    status = place.world.in_state(follower, "Pending", "WaitingForCache")["status"]
    assert status["message"] == f"The identical run '{leader}' goes first."


def ended(place: Place, name: str) -> Object:
    status: Object = place.ended(name, LONG)["status"]
    return status


def is_a_hit_of(place: Place, name: str, source: str) -> None:
    status = ended(place, name)
    assert (status["state"], status["cache"]["sourceRun"]) == ("Cached", source)
    assert place.world.pods_of(name) == []


def ran_itself(place: Place, name: str, reason: str) -> None:
    status = ended(place, name)
    assert (status["state"], status["cache"]["missReason"]) == ("Completed", reason)
    assert json.loads(status["result"]["value"]) == name
    assert place.world.pods_of(name) == [f"{name}-1"]


def test_of_32_identical_runs_at_once_one_runs_in_one_pod(place: Place) -> None:
    place.world.apply(*(task_run(name, WHO, cache={}) for name in CROWD))
    states = {name: ended(place, name)["state"] for name in CROWD}
    assert sorted(states.values()) == ["Cached"] * 31 + ["Completed"]
    leader = next(name for name in CROWD if states[name] == "Completed")
    assert [pod for name in CROWD for pod in place.world.pods_of(name)] == [f"{leader}-1"]
    for name in set(CROWD) - {leader}:
        is_a_hit_of(place, name, leader)


def test_a_leader_whose_pod_is_killed_goes_on_leading_with_its_next_attempt(place: Place) -> None:
    leads_and_is_awaited(place, "shot", "mourner")
    place.force_delete("shot-1")
    place.world.until("shot has a second pod", lambda: "running" in place.state("shot-2"), LONG)
    let_go(place.world, "shot-2")
    assert ended(place, "shot")["state"] == "Completed"
    is_a_hit_of(place, "mourner", "shot")


@pytest.mark.long
def test_when_the_leader_is_cancelled_or_deleted_the_next_takes_over(place: Place) -> None:
    leads_and_is_awaited(place, "cancelled", "heir")
    leads_and_is_awaited(place, "deleted", "orphan")
    place.world.patch("cancelled", cancel=True)
    place.world.kubectl("delete", "ptr", "deleted", "--wait=false")
    for name in ("heir", "orphan"):
        ran_itself(place, name, "There is no entry for this key.")
    assert ended(place, "cancelled")["state"] == "Cancelled"


@pytest.mark.long
def test_an_operator_that_is_killed_while_they_wait_changes_nothing(place: Place) -> None:
    leads_and_is_awaited(place, "steady", "patient")
    place.kill_operator()
    place.let_go("steady")
    place.world.until("the task of steady has ended", lambda: "terminated" in place.state("steady-1"))
    place.world.apply(task_run("late", WHO, cache={"key": "steady"}))
    place.start_operator()
    assert ended(place, "steady")["state"] == "Completed"
    for name in ("patient", "late"):
        is_a_hit_of(place, name, "steady")


def test_an_entry_that_expired_while_they_waited_is_none(place: Place) -> None:
    leads_and_is_awaited(place, "brief", "slow", expirationSeconds=0)
    place.let_go("brief")
    assert ended(place, "brief")["state"] == "Completed"
    ran_itself(place, "slow", "The entry has expired.")


def test_an_entry_nobody_can_use_is_dropped_with_an_event_and_written_anew(
    place: Place, store: Store, bucket: Bucket
) -> None:
    world = place.world
    world.apply(*(task_run(name, WHO, cache={"key": name}) for name in ("garbled", "emptied", "changed")))
    uids = {name: world.finished(name, LONG)["metadata"]["uid"] for name in ("garbled", "emptied", "changed")}
    store.put(bucket.cache("garbled"), b'{"v": 1, "key": ')
    store.delete(bucket.attempt(uids["emptied"], 1).result)
    result = bucket.attempt(uids["changed"], 1).result
    store.put(result, store.get(result)[::-1])
    world.apply(*(task_run(f"after-{name}", WHO, cache={"key": name}) for name in uids))
    for name in uids:
        status = ended(place, f"after-{name}")
        assert "dropped" in status["cache"]["missReason"]
        ran_itself(place, f"after-{name}", status["cache"]["missReason"])
        assert CacheEntry.load(store.get(bucket.cache(name))).producer.task_run == f"after-{name}"
        assert told(world, f"after-{name}") == [status["cache"]["missReason"]]


def test_a_server_without_conditional_writes_is_enough(place: Place, tmp_path: Path) -> None:
    place.kill_operator()
    place.operator = Operator(tmp_path, place.world.namespace, PODTASK_STORE_CONDITIONAL_WRITES="off")
    leads_and_is_awaited(place, "plain", "second")
    place.force_delete("plain-1")
    place.world.until("plain has a second pod", lambda: "running" in place.state("plain-2"), LONG)
    let_go(place.world, "plain-2")
    assert (ended(place, "plain")["state"], ended(place, "plain")["result"]["attempt"]) == ("Completed", 2)
    is_a_hit_of(place, "second", "plain")


def told(world: World, name: str) -> list[str]:
    chosen = f"involvedObject.name={name},reason={EVENT_ENTRY_DROPPED}"
    listed = json.loads(world.kubectl("get", "events", f"--field-selector={chosen}", "-o", "json"))["items"]
    return [event["message"] for event in listed]
