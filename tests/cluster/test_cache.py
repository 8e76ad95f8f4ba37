"""`spec.cache` on the real cluster: what is a hit and what is not, who runs when several want the same, what is stored.

Every task returns the name of the run whose pod made the value, so a value says where it comes from.
"""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.kit import Object, World, task_run

from podtask.core.cache.entry import CacheEntry
from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket

pytestmark = pytest.mark.cluster

WHO = 'import os\n\ndef main():\n    return os.environ["PODTASK_TASK_RUN"]\n'
WHO_OF = 'import os\n\ndef main(rows):\n    return [os.environ["PODTASK_TASK_RUN"], rows]\n'
COUNTED = "def main(rows, unit):\n    return [rows, unit]\n"
SLOW = 'import os, time\n\ndef main():\n    time.sleep(6)\n    return os.environ["PODTASK_TASK_RUN"]\n'
MANY_SECONDS = 240
"""For a dozen pods at once on a machine that has much else to do."""
NEW_TASK = {"name": f"counted-{uuid4().hex[:8]}"}
"""The operator and the bucket remember the runs of a task, also those of an earlier namespace of this name."""
FOR_EVER = "import time\n\ndef main():\n    time.sleep(600)\n"


def of(upstream: str) -> list[Object]:
    return [{"taskRun": upstream, "parameter": "rows"}]


FIRST: list[Object] = [
    task_run("two-a", SLOW, cache={}),
    task_run("two-b", SLOW, cache={}),
    task_run("lead", FOR_EVER, cache={"key": "race"}),
    task_run("original", WHO, cache={}),
    task_run("with-rows", WHO_OF, cache={}, parameters={"rows": [1, {"b": 2, "a": 1}]}),
    task_run("keyed", WHO, cache={"key": "k"}),
    task_run("short", WHO, cache={"key": "short", "expirationSeconds": 0.05}),
    task_run("long", WHO, cache={"key": "long", "expirationSeconds": 3600}),
    task_run("old", WHO, cache={"key": "refreshed"}),
    task_run("deleted", WHO, cache={"key": "deleted"}),
    task_run("altered", WHO, cache={"key": "altered"}),
    task_run("fails", "def main():\n    raise ValueError\n", cache={"key": "fails"}),
    task_run("seven", "def main():\n    return 7\n"),
    task_run("seven-too", "def main():\n    return 3 + 4\n"),
    task_run("eight", "def main():\n    return 8\n"),
    task_run("of-seven", WHO_OF, upstream=of("seven"), cache={}),
    task_run("counted", COUNTED, task=NEW_TASK, cache={}, parameters={"rows": 1, "unit": "m"}),
]
SECOND: list[Object] = [
    task_run("follow", WHO, cache={"key": "race"}),
    task_run("beside", WHO, cache={"key": "race", "onConcurrent": "Run"}),
    task_run("refresh", WHO, cache={"key": "refreshed", "refresh": True}),
    task_run("same", WHO, cache={}),
    task_run("comment", WHO.replace("\n\n", "\n\n# who am I?\n\n"), cache={}),
    task_run("constant", WHO.replace("return ", "return 'I am ' + "), cache={}),
    task_run("same-rows", WHO_OF, cache={}, parameters={"rows": [1, {"a": 1, "b": 2}]}),
    task_run("other-rows", WHO_OF, cache={}, parameters={"rows": [2, {"a": 1, "b": 2}]}),
    task_run("same-key", "def main():\n    return 'other code'\n", cache={"key": "k"}),
    task_run("after-short", WHO, cache={"key": "short"}),
    task_run("after-long", WHO, cache={"key": "long"}),
    task_run("after-deleted", WHO, cache={"key": "deleted"}),
    task_run("after-altered", WHO, cache={"key": "altered"}),
    task_run("after-fails", WHO, cache={"key": "fails"}),
    task_run("of-seven-too", WHO_OF, upstream=of("seven-too"), cache={}),
    task_run("counted-more", COUNTED, task=NEW_TASK, cache={}, parameters={"rows": 2, "unit": "m"}),
    task_run("of-eight", WHO_OF, upstream=of("eight"), cache={}),
    {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": "entrypoint"},
        "spec": {"task": {"entrypoint": "platform:node"}, "cache": {}},
    },
]


@pytest.fixture(scope="module")
def bucket(world: World) -> Bucket:
    """The namespace's folder."""
    return world.bucket


@pytest.fixture(scope="module")
def applied(world: World, store: Store, bucket: Bucket) -> World:
    """The first generation; then two of its results are damaged, and the second generation comes."""
    world.apply(*FIRST)
    for manifest in FIRST[3:]:
        world.finished(manifest["metadata"]["name"], MANY_SECONDS)
    store.delete(result_key(world, bucket, "deleted"))
    key = result_key(world, bucket, "altered")
    store.put(key, store.get(key)[::-1])
    world.apply(*SECOND)
    return world


def result_key(world: World, bucket: Bucket, name: str) -> str:
    return bucket.attempt(world.finished(name)["metadata"]["uid"], 1).result


def value(run: Object) -> Any:
    return json.loads(run["status"]["result"]["value"])


def is_a_hit(world: World, name: str, source: str) -> Object:
    run = world.finished(name, MANY_SECONDS)
    status = run["status"]
    assert (status["state"], status["reason"]) == ("Cached", "Cached")
    assert (status["cache"]["outcome"], status["cache"]["sourceRun"]) == ("Hit", source)
    assert status["result"]["digest"] == world.finished(source)["status"]["result"]["digest"]
    assert value(run) == value(world.finished(source))
    assert world.pods_of(name) == []
    return run


def is_a_miss(world: World, name: str, reason: str = "There is no entry for this key.") -> Object:
    run = world.finished(name, MANY_SECONDS)
    status = run["status"]
    assert (status["state"], status["cache"]["outcome"]) == ("Completed", "Miss")
    assert re.fullmatch(
        re.escape(reason) + r"( Compared with '[^']+': argument `rows` changed; code and image the same\.)?",
        status["cache"]["missReason"],
    )
    assert world.pods_of(name) == [f"{name}-1"]
    return run


def test_the_same_manifest_under_another_name_is_cached_without_a_pod(applied: World) -> None:
    run = is_a_hit(applied, "same", "original")
    assert value(run) == "original"
    assert run["status"]["cache"]["key"] == applied.finished("original")["status"]["cache"]["key"]
    conditions = {c["type"]: c["status"] for c in run["status"]["conditions"]}
    assert conditions == {"Succeeded": "True", "Finished": "True"}
    line = applied.kubectl("get", "ptr", "same", "--no-headers").split()
    assert line[:3] == ["same", "Cached", "Hit"]


def test_another_comment_is_a_hit_and_another_constant_is_a_miss(applied: World) -> None:
    is_a_hit(applied, "comment", "original")
    assert value(is_a_miss(applied, "constant")) == "I am constant"


def test_parameters_count_by_their_values_and_not_by_the_order_of_their_keys(applied: World) -> None:
    is_a_hit(applied, "same-rows", "with-rows")
    is_a_miss(applied, "other-rows")


def test_a_miss_says_what_differs_from_the_nearest_earlier_run(applied: World) -> None:
    said = is_a_miss(applied, "counted-more")["status"]["cache"]["missReason"]
    assert said.endswith(" Compared with 'counted': argument `rows` changed; code and image the same.")


def test_a_key_of_one_s_own_stands_for_whatever_code(applied: World) -> None:
    is_a_hit(applied, "same-key", "keyed")
    assert applied.finished("same-key")["status"]["cache"]["key"] == "k"


def test_an_entry_is_used_until_it_expires(applied: World) -> None:
    run = is_a_hit(applied, "after-long", "long")
    assert run["status"]["cache"]["expiresAt"] == applied.finished("long")["status"]["cache"]["expiresAt"]
    is_a_miss(applied, "after-short", "The entry has expired.")


def test_refresh_runs_anyway_and_what_it_stored_is_the_new_entry(applied: World) -> None:
    is_a_miss(applied, "refresh", "spec.cache.refresh is true.")
    applied.apply(task_run("after-refresh", WHO, cache={"key": "refreshed"}))
    assert value(is_a_hit(applied, "after-refresh", "refresh")) == "refresh"


def test_an_entry_whose_result_is_gone_or_altered_is_dropped_and_written_anew(
    applied: World, store: Store, bucket: Bucket
) -> None:
    for name, what in (("deleted", "is gone"), ("altered", "was altered")):
        reason = f"The stored result of '{name}' {what}; the entry was dropped."
        assert value(is_a_miss(applied, f"after-{name}", reason)) == f"after-{name}"
        entry = CacheEntry.load(store.get(bucket.cache(name)))
        assert entry.producer.task_run == f"after-{name}"


def test_failures_are_not_cached(applied: World) -> None:
    assert applied.finished("fails")["status"]["cache"]["outcome"] == "Miss"
    is_a_miss(applied, "after-fails")


def test_results_of_upstreams_are_part_of_the_key_by_their_values(applied: World) -> None:
    is_a_hit(applied, "of-seven-too", "of-seven")
    assert value(is_a_miss(applied, "of-eight")) == ["of-eight", 8]


def test_of_two_identical_runs_at_once_one_runs_and_the_other_waits_for_its_result(applied: World) -> None:
    ends = {applied.finished(name)["status"]["state"]: name for name in ("two-a", "two-b")}
    assert set(ends) == {"Completed", "Cached"}
    is_a_hit(applied, ends["Cached"], ends["Completed"])
    assert applied.pods_of(ends["Completed"]) == [f"{ends['Completed']}-1"]
    waited = [status for status in told(applied, ends["Cached"]) if status.get("reason") == "WaitingForCache"]
    assert waited
    assert waited[0]["message"] == f"The identical run '{ends['Completed']}' goes first."
    assert waited[0]["cache"]["outcome"] == "Waiting"


def told(world: World, name: str) -> list[Any]:
    runs = (seen.object for seen in world.history if seen.object["kind"] == "TaskRun")
    return [run.get("status", {}) for run in runs if run["metadata"]["name"] == name]


def test_a_run_that_will_not_wait_runs_beside_the_leader(applied: World) -> None:
    run = applied.finished("beside")
    assert (run["status"]["state"], value(run)) == ("Completed", "beside")


def test_when_the_leader_of_a_key_is_cancelled_the_next_one_takes_over(applied: World) -> None:
    applied.apply(
        task_run("head", FOR_EVER, cache={"key": "takeover"}),
    )
    applied.until("head has a pod", lambda: bool(applied.pods_of("head")))
    applied.apply(task_run("heir", WHO, cache={"key": "takeover"}))
    status = applied.in_state("heir", "Pending", "WaitingForCache")["status"]
    assert status["message"] == "The identical run 'head' goes first."
    applied.patch("head", cancel=True)
    assert value(is_a_miss(applied, "heir")) == "heir"
    assert applied.finished("head")["status"]["state"] == "Cancelled"


def test_a_waiting_run_hits_what_another_stored_although_the_leader_runs_on(applied: World) -> None:
    is_a_hit(applied, "follow", "beside")
    assert "finishedAt" not in applied.runs["lead"]["status"]
    applied.patch("lead", cancel=True)


def test_an_entrypoint_is_cached_only_in_an_image_that_is_pinned(applied: World) -> None:
    status = applied.finished("entrypoint")["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "'podtask.local/runner:dev-py3.11' is not pinned by a digest" in status["message"]
    assert status["error"]["cure"] == "Write spec.image as name@sha256:…, or choose spec.cache.key yourself."
