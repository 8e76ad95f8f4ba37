"""Out-of-memory kills by a real kernel: more memory next time, up to the limit, from a budget of its own."""

from __future__ import annotations

import pytest
from tests.cluster.kit import Object, World, task_run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TAKES = "def main():\n    held = bytearray({size} * 2**20)\n    return len(held)\n"
START = {"limits": {"memory": "96Mi"}, "requests": {"memory": "48Mi"}}


def memory_of(world: World, pod: str) -> Object:
    """Request and limit of a pod's container."""
    found = world.pods[pod]["spec"]["containers"][0]["resources"]
    return {"request": found["requests"]["memory"], "limit": found["limits"]["memory"]}


def test_a_killed_attempt_is_followed_by_one_with_more_memory_and_uses_no_retry(served: World) -> None:
    growth = {"memoryFactor": 4, "maxMemory": "512Mi", "maxAttempts": 2}
    served.apply(task_run("grows", TAKES.format(size=200), resources=START, onOutOfMemory=growth))
    status = served.finished("grows")["status"]
    assert status["state"] == "Completed"
    assert (status["retriesUsed"], status["disruptionsUsed"], status["outOfMemoryUsed"]) == (0, 0, 1)
    first, second = status["attempts"]
    assert (first["outcome"], first["reason"]) == ("OutOfMemory", "OutOfMemory")
    assert first["message"] == "The task used more than its 96Mi of memory and was killed."
    assert first["cure"] == "The next attempt gets 384Mi; start with more to save the detour."
    assert (second["cause"], second["memory"], second["outcome"]) == ("OutOfMemory", "384Mi", "Completed")
    assert memory_of(served, "grows-1") == {"request": "48Mi", "limit": "96Mi"}
    assert memory_of(served, "grows-2") == {"request": "192Mi", "limit": "384Mi"}


def test_at_its_maximum_a_killed_attempt_ends_the_run_with_the_cure(served: World) -> None:
    growth = {"memoryFactor": 10, "maxMemory": "128Mi"}
    served.apply(task_run("capped", TAKES.format(size=300), resources=START, onOutOfMemory=growth, retries=5))
    status = served.finished("capped")["status"]
    assert (status["state"], status["reason"], status["retriesUsed"]) == ("Failed", "OutOfMemory", 0)
    assert [attempt.get("memory") for attempt in status["attempts"]] == [None, "128Mi"]
    assert status["message"].endswith("was killed. That is spec.onOutOfMemory.maxMemory already.")
    assert status["error"]["cure"] == "Raise spec.onOutOfMemory.maxMemory, or let the task use less."


def test_without_a_budget_of_its_own_a_kill_uses_a_retry_and_the_memory_stays(served: World) -> None:
    served.apply(task_run("plain", TAKES.format(size=200), resources=START, retries=1))
    status = served.finished("plain")["status"]
    assert (status["state"], status["reason"], status["retriesUsed"]) == ("Failed", "OutOfMemory", 1)
    assert memory_of(served, "plain-2") == memory_of(served, "plain-1")


def test_growth_from_nothing_is_refused_before_any_pod(served: World) -> None:
    served.apply(task_run("nothing", "def main(): pass", onOutOfMemory={"maxMemory": "1Gi"}))
    status = served.finished("nothing")["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "no amount of memory to start from" in status["message"]
