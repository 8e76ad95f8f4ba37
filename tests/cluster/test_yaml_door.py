"""`kubectl apply -f taskrun.yaml`: what each field of a manifest does on the real cluster.

All manifests are applied at once, each case then waits for its own: a case is a sentence, a manifest and a check.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

import pytest
from tests.cluster.kit import Object, World, task_run

from podtask.core.storage import Store

pytestmark = pytest.mark.cluster

HELLO = "def main(name):\n    return f'hello {name}'\n"
FAILS_TWICE = """
import os
def main():
    if int(os.environ["PODTASK_ATTEMPT"]) < 3:
        raise ValueError("not yet")
    return {"attempt": int(os.environ["PODTASK_ATTEMPT"])}
"""


def when(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def outcomes(run: Object) -> list[str]:
    return [attempt["outcome"] for attempt in run["status"]["attempts"]]


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    world.apply(
        task_run("hello", HELLO, parameters={"name": "ada"}),
        task_run("fails-twice", FAILS_TWICE, retries=3, retryDelaySeconds=[1, 2.5]),
        task_run("always-fails", "def main():\n    raise KeyError('no such thing')\n", retries=1),
        task_run("first", "def main():\n    return [1, 2, 3]\n"),
        task_run("second", "def main(xs):\n    return sum(xs)\n", upstream=[{"taskRun": "first", "parameter": "xs"}]),
        task_run("ordered", "def main():\n    return 'after'\n", waitFor=[{"taskRun": "second"}]),
        task_run("breaks", "def main():\n    raise RuntimeError('broken')\n"),
        task_run("not-ready", HELLO, retries=5, upstream=[{"taskRun": "breaks", "parameter": "name"}]),
        task_run("not-ready-either", HELLO, upstream=[{"taskRun": "not-ready", "parameter": "name"}]),
        task_run(
            "in-spite",
            "def main(name):\n    return repr(name)\n",
            cache={},
            upstream=[{"taskRun": "breaks", "parameter": "name", "allowFailure": True}],
            waitFor=[{"taskRun": "not-ready", "allowFailure": True}],
        ),
        task_run("too-slow", "import time\ndef main():\n    time.sleep(600)\n", timeoutSeconds=1),
        task_run("exits", "import sys\ndef main():\n    sys.exit(3)\n", retries=2),
        task_run(
            "eats-memory", "def main():\n    return len(bytearray(10**9))\n", resources={"limits": {"memory": "64Mi"}}
        ),
        task_run(
            "other-name",
            "def greet(name):\n    return name.upper()\n",
            task={"function": "greet"},
            parameters={"name": "ada"},
        ),
        task_run("async", "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 'awaited'\n"),
        task_run("short-lived", "def main():\n    return 1\n", ttlSecondsAfterFinished=2),
        {
            "apiVersion": "podtask.dev/v1alpha1",
            "kind": "TaskRun",
            "metadata": {"name": "entrypoint"},
            "spec": {"task": {"entrypoint": "math:sqrt"}, "parameters": {}, "inputs": None},
        },
    )
    return world


def test_a_small_json_result_is_readable_in_the_status_and_lies_in_the_bucket_under_its_digest(
    applied: World, store: Store
) -> None:
    run = applied.finished("hello")
    value = applied.kubectl("get", "ptr", "hello", "-o", "jsonpath={.status.result.value}")
    assert value == '"hello ada"'
    keys = applied.bucket.attempt(run["metadata"]["uid"], 1)
    stored = store.get(keys.result)
    assert stored == b'"hello ada"'
    assert hashlib.sha256(stored).hexdigest() == run["status"]["result"]["digest"]


def test_a_task_that_fails_twice_then_succeeds_has_exactly_three_pods_and_no_delay_is_early(applied: World) -> None:
    run = applied.finished("fails-twice")
    assert run["status"]["state"] == "Completed"
    assert json.loads(run["status"]["result"]["value"]) == {"attempt": 3}
    assert applied.pods_of("fails-twice") == ["fails-twice-1", "fails-twice-2", "fails-twice-3"]
    attempts = run["status"]["attempts"]
    assert [a["cause"] for a in attempts] == ["First", "Retry", "Retry"]
    assert outcomes(run) == ["Failed", "Failed", "Completed"]
    assert all(a["message"].startswith("ValueError: not yet") and a["node"] for a in attempts[:2])
    for before, after, delay in zip(attempts, attempts[1:], [1, 2.5], strict=False):
        waited = (when(after["recordedAt"]) - when(before["finishedAt"])).total_seconds()
        assert waited >= delay
    assert run["status"]["attempt"] == "3/4"


def test_a_run_that_allows_the_failure_of_its_upstream_gets_the_exception_and_is_not_cached(applied: World) -> None:
    run = applied.finished("in-spite")
    assert (run["status"]["state"], run["status"]["result"]["value"]) == ("Completed", "\"RuntimeError('broken')\"")
    assert [each["failedAs"] for each in run["status"]["inputs"]] == ["Failed"]
    assert run["status"]["cache"]["outcome"] == "Off"
    assert "failedUpstream" not in run["status"]


def test_a_task_that_always_fails_is_failed_with_its_exception_after_all_its_attempts(applied: World) -> None:
    run = applied.finished("always-fails")
    assert (run["status"]["state"], outcomes(run)) == ("Failed", ["Failed", "Failed"])
    assert run["status"]["error"]["type"].endswith("KeyError")
    assert "no such thing" in run["status"]["error"]["message"]
    assert "def main" in run["status"]["error"]["traceback"] or "raise KeyError" in run["status"]["error"]["traceback"]


def test_kubectl_wait_returns_at_every_end_by_the_condition_finished(applied: World) -> None:
    applied.kubectl("wait", "--for=condition=Finished", "ptr/always-fails", "--timeout=60s")
    applied.kubectl("wait", "--for=condition=Succeeded", "ptr/hello", "--timeout=60s")


def test_a_result_feeds_the_parameter_of_another_run(applied: World) -> None:
    assert applied.finished("second")["status"]["result"]["value"] == "6"


def test_wait_for_orders_runs_without_data(applied: World) -> None:
    after, before = applied.finished("ordered"), applied.finished("second")
    assert when(after["status"]["startedAt"]) >= when(before["status"]["finishedAt"])


def test_a_failed_upstream_makes_its_dependents_not_ready_without_pods(applied: World) -> None:
    for name in ("not-ready", "not-ready-either"):
        status = applied.finished(name)["status"]
        assert (status["state"], status["reason"]) == ("NotReady", "UpstreamFailed")
        assert applied.pods_of(name) == []
        assert status["retriesUsed"] == 0


def test_an_attempt_that_runs_too_long_is_timed_out(applied: World) -> None:
    status = applied.finished("too-slow")["status"]
    assert (status["state"], status["attempts"][0]["outcome"]) == ("TimedOut", "TimedOut")


def test_a_system_exit_is_a_crash_and_is_not_retried(applied: World) -> None:
    run = applied.finished("exits")
    assert (run["status"]["state"], outcomes(run)) == ("Crashed", ["Crashed"])


def test_an_oom_kill_is_not_a_success_and_says_what_to_do(applied: World) -> None:
    run = applied.finished("eats-memory")
    assert (run["status"]["state"], run["status"]["reason"]) == ("Failed", "OutOfMemory")
    assert "memory" in run["status"]["attempts"][0]["cure"]


def test_the_function_may_have_another_name(applied: World) -> None:
    assert applied.finished("other-name")["status"]["result"]["value"] == '"ADA"'


def test_an_async_function_is_awaited(applied: World) -> None:
    assert applied.finished("async")["status"]["result"]["value"] == '"awaited"'


def test_parameters_that_do_not_fit_the_function_are_invalid_with_a_cure(applied: World) -> None:
    status = applied.finished("entrypoint")["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")


def test_a_run_is_deleted_after_its_time_to_live(applied: World) -> None:
    def gone() -> bool:
        return any(s.type == "DELETED" and s.object["metadata"]["name"] == "short-lived" for s in applied.history)

    applied.until("short-lived is deleted", gone)


def columns(line: str) -> list[Any]:
    return line.split()


def test_kubectl_get_shows_state_attempt_and_cache(applied: World) -> None:
    applied.finished("fails-twice")
    header, line = applied.kubectl("get", "ptr", "fails-twice").splitlines()
    assert columns(header) == ["NAME", "STATE", "ATTEMPT", "CACHE", "AGE"]
    assert columns(line)[:3] == ["fails-twice", "Completed", "3/4"]
