"""Cancelling at every moment of a run, what is kept of it, and what a time to live spares."""

from __future__ import annotations

import subprocess
import threading
from datetime import datetime

import pytest
from tests.cluster.invariants import container_state
from tests.cluster.kit import Object, World, task_run

from podtask.core.storage import Store

pytestmark = pytest.mark.cluster

ONE = "def main():\n    return 1\n"
TIDY = """
import time

def main():
    print("at work", flush=True)
    try:
        time.sleep(600)
    finally:
        print("tidied up", flush=True)
"""
STUBBORN = """
import signal, time

def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("at work", flush=True)
    time.sleep(600)
"""
SAVES = """
import signal, time

def main():
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    print("at work", flush=True)
    while not asked:
        time.sleep(0.05)
    return "saved in time"
"""
TALKS = "import sys\ndef main():\n    print('one')\n    print('two', file=sys.stderr)\n    return 3\n"
FAILS = "def main():\n    raise ValueError('not today')\n"
NOBODY = {"podtask-tests/no-node-has": "this"}


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    world.apply(
        task_run("stubborn", STUBBORN, retries=2),
        task_run("tidy", TIDY, retries=2),
        task_run("saves", SAVES),
        task_run("pending", ONE, nodeSelector=NOBODY),
        task_run("awaiting", FAILS, retries=3, retryDelaySeconds=[600]),
        task_run("suspended", ONE, suspend=True),
        task_run("gated", ONE, waitFor=[{"taskRun": "suspended"}]),
        task_run("talks", TALKS),
        task_run("named", ONE, ttlSecondsAfterFinished=1),
        task_run("names", ONE, waitFor=[{"taskRun": "named"}], suspend=True),
        task_run("unnamed", ONE, waitFor=[{"taskRun": "named"}], ttlSecondsAfterFinished=1),
    )
    for name in ("stubborn", "tidy", "saves"):
        says(world, f"{name}-1", "at work")
        world.patch(name, cancel=True)
    return world


def says(world: World, pod: str, words: str, seconds: float = 60) -> None:
    """Follow the pod's log until it has the words."""
    world.until(f"{pod} runs", lambda: world.pods.get(pod, {}).get("status", {}).get("phase") == "Running", seconds)
    command = ["kubectl", "--namespace", world.namespace, "logs", "--follow", pod]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follow:
        limit = threading.Timer(seconds, follow.kill)
        limit.start()
        assert follow.stdout is not None
        found = any(words in line for line in follow.stdout)
        limit.cancel()
        follow.kill()
    assert found, f"{pod} did not say {words!r} within {seconds:g} s"


def log_of(world: World, store: Store, name: str) -> str:
    uid = world.finished(name)["metadata"]["uid"]
    prefix = world.bucket.attempt(uid, 1).log
    return b"".join(store.get(info.key) for info in store.list(prefix)).decode()


def is_cancelled(run: Object) -> bool:
    status = run["status"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    return (status["state"], status["reason"], conditions) == (
        "Cancelled",
        "Cancelled",
        {"Succeeded": "False", "Finished": "True"},
    )


def outcomes(run: Object) -> list[str]:
    return [attempt["outcome"] for attempt in run["status"].get("attempts", [])]


def test_a_running_task_gets_the_signal_and_may_tidy_up(applied: World) -> None:
    run = applied.finished("tidy")
    assert is_cancelled(run)
    assert (outcomes(run), run["status"]["retriesUsed"]) == (["Cancelled"], 0)
    assert applied.kubectl("logs", "tidy-1").splitlines()[:2] == ["at work", "tidied up"]
    assert applied.pods_of("tidy") == ["tidy-1"]


def test_the_pod_of_a_cancelled_run_is_kept_and_so_is_its_log(applied: World, store: Store) -> None:
    applied.finished("tidy")
    applied.until("the pod has ended", lambda: applied.pods["tidy-1"]["status"]["phase"] in ("Failed", "Succeeded"))
    assert "deletionTimestamp" not in applied.pods["tidy-1"]["metadata"]
    assert log_of(applied, store, "tidy") == applied.kubectl("logs", "tidy-1")


def test_a_result_that_is_stored_meanwhile_wins(applied: World) -> None:
    status = applied.finished("saves")["status"]
    assert (status["state"], status["result"]["value"]) == ("Completed", '"saved in time"')


def test_cancelling_a_pending_run_removes_its_pod(applied: World) -> None:
    applied.in_state("pending", "Pending", "Unschedulable")
    applied.patch("pending", cancel=True)
    run = applied.finished("pending")
    assert is_cancelled(run)
    assert outcomes(run) == ["Cancelled"]
    applied.until("its pod is gone", lambda: "pending-1" not in applied.pods)


def test_cancelling_between_two_attempts_ends_the_run_at_once(applied: World) -> None:
    applied.in_state("awaiting", "AwaitingRetry")
    applied.patch("awaiting", cancel=True)
    run = applied.finished("awaiting")
    assert is_cancelled(run)
    assert outcomes(run) == ["Failed"]
    assert "nextAttemptAt" not in run["status"]


def test_cancelling_a_run_that_waits_needs_no_pod_and_its_dependents_are_not_ready(applied: World) -> None:
    applied.patch("suspended", cancel=True)
    assert is_cancelled(applied.finished("suspended"))
    status = applied.finished("gated")["status"]
    assert (status["state"], status["reason"]) == ("NotReady", "UpstreamFailed")
    assert "(it is Cancelled)" in status["message"]
    assert applied.pods_of("suspended") == applied.pods_of("gated") == []


def test_prints_of_a_task_lie_in_the_bucket_below_its_attempt(applied: World, store: Store) -> None:
    assert sorted(log_of(applied, store, "talks").splitlines()) == ["one", "two"]


def test_a_time_to_live_spares_a_run_that_an_unfinished_one_names(applied: World) -> None:
    gone(applied, "unnamed")
    assert "named" in applied.runs
    applied.patch("names", suspend=False)
    assert applied.finished("names")["status"]["state"] == "Completed"
    gone(applied, "named")


def gone(world: World, name: str, seconds: float = 30) -> None:
    world.until(
        f"{name} is deleted",
        lambda: any(s.type == "DELETED" and named(s.object) == name for s in world.history),
        seconds,
    )


def named(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def test_a_task_that_ignores_the_signal_is_killed_after_its_grace(applied: World) -> None:
    run = applied.finished("stubborn")
    assert is_cancelled(run)
    attempt = run["status"]["attempts"][0]
    ended = applied.until(  # told by another watch than the run's end
        "the test knows that its container has ended",
        lambda: container_state(applied.pods["stubborn-1"]).get("terminated"),
    )
    started = datetime.fromisoformat(attempt["startedAt"])
    assert 8 <= (datetime.fromisoformat(ended["finishedAt"]) - started).total_seconds() <= 40
