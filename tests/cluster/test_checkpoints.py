"""Checkpoints on a real cluster and a real bucket: pods that vanish, pods that are told to go, and what stays."""

from __future__ import annotations

import pytest
from tests.cluster.kit import World, eventually, sentence, task_run

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

STEPS = 5
VANISHES = f"""
import time
from podtask import get_run_context
def main():
    checkpoint = get_run_context().checkpoint
    done = checkpoint.load(0)
    if done:
        return f"went on at {{done}}"
    for step in range({STEPS}):
        checkpoint.save(step + 1)
    print("saved", flush=True)
    time.sleep(280)
"""
IS_TOLD = """
import time
from podtask import get_run_context
def main():
    checkpoint = get_run_context().checkpoint
    found = checkpoint.load()
    if found is not None:
        return found
    try:
        print("at work", flush=True)
        time.sleep(280)
    finally:
        checkpoint.save("last words")
"""
FAILS = """
from podtask import get_run_context
def main():
    get_run_context().checkpoint.save("kept")
    raise ValueError("boom")
"""


def saved(world: World, store: Store, name: str) -> list[str]:
    """What is there of the checkpoints of a run: attempt and slot."""
    folder = world.bucket.checkpoints(world.runs[name]["metadata"]["uid"])
    return [info.key.removeprefix(folder) for info in store.list(folder)]


def prints(world: World, name: str, words: str) -> None:
    """Wait until the first container of a run has printed them."""

    def runs() -> bool:
        containers = world.pods.get(f"{name}-1", {}).get("status", {}).get("containerStatuses", [])
        return any("running" in container["state"] for container in containers)

    world.until(f"the container of {name}-1 runs", runs)
    eventually(f"{name}-1 prints {words!r}", lambda: words in world.kubectl("logs", f"{name}-1"))


def test_after_a_pod_that_vanished_the_next_one_goes_on(served: World, store: Store) -> None:
    served.apply(task_run("vanishes", VANISHES, checkpoints=True))
    prints(served, "vanishes", "saved")
    assert saved(served, store, "vanishes") == ["1/0", "1/1"]
    served.kubectl("delete", "pod", "vanishes-1", "--force", "--grace-period=0", "--wait=false")
    status = served.finished("vanishes")["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", f'"went on at {STEPS}"')
    assert (status["attemptsTotal"], status["disruptionsUsed"], status["retriesUsed"]) == (2, 1, 0)
    eventually("they are removed once the run has completed", lambda: saved(served, store, "vanishes") == [])


def test_what_a_task_saves_in_its_last_seconds_is_loaded(served: World) -> None:
    served.apply(task_run("told", IS_TOLD, checkpoints=True))
    prints(served, "told", "at work")
    served.kubectl("delete", "pod", "told-1", "--wait=false")
    status = served.finished("told", 150)["status"]
    assert (status["state"], status["attempts"][0]["outcome"]) == ("Completed", "Disruption")
    assert status["result"]["value"] == '"last words"'


def test_those_of_a_run_that_failed_stay_with_its_other_objects(served: World, store: Store) -> None:
    served.apply(task_run("fails", FAILS, checkpoints=True))
    assert served.finished("fails")["status"]["state"] == "Failed"
    assert saved(served, store, "fails") == ["1/1"]


def test_whether_a_run_has_checkpoints_never_changes(served: World) -> None:
    served.apply(task_run("fixed", "def main(): pass", checkpoints=True))
    assert "spec.checkpoints is immutable" in sentence(lambda: served.patch("fixed", checkpoints=False))
