"""Bounds on a real cluster: the deadline of a run, pods that are cleaned up, a pod name that stays taken."""

from __future__ import annotations

import json

import pytest
from tests.cluster.invariants import when
from tests.cluster.kit import World, sentence, task_run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

LONG = "import time\ndef main():\n    time.sleep(120)\n"
FAILS = "def main():\n    raise ValueError('boom')\n"
BY_THEN_IT_RUNS = 20
"""Seconds that no pod takes to start, not even the cluster's first one: a bound that is over earlier deletes it."""


def test_a_deadline_stops_what_runs_and_no_attempt_follows(served: World) -> None:
    served.apply(task_run("late", LONG, deadlineSeconds=BY_THEN_IT_RUNS, retries=5))
    status = served.finished("late")["status"]
    assert (status["state"], status["reason"]) == ("TimedOut", "DeadlineExceeded")
    assert (status["attemptsTotal"], status["retriesUsed"]) == (1, 0)
    assert status["attempts"][0]["reason"] == "DeadlineExceeded"
    assert (when(status["finishedAt"]) - when(status["startedAt"])).total_seconds() >= BY_THEN_IT_RUNS
    assert served.pods["late-1"]["spec"]["activeDeadlineSeconds"] == 1


def test_the_pod_itself_has_the_deadline_for_the_time_the_operator_is_away(served: World) -> None:
    served.apply(task_run("backstop", LONG, deadlineSeconds=1000))
    pod = served.until("the pod is there", lambda: served.pods.get("backstop-1"))
    assert pod["spec"]["activeDeadlineSeconds"] == 1000 + 30 + 60
    served.patch("backstop", cancel=True)


def test_a_retry_that_would_be_due_after_the_deadline_is_not_waited_for(served: World) -> None:
    served.apply(task_run("hopeless", FAILS, deadlineSeconds=60, retries=3, retryDelaySeconds=[3600]))
    status = served.finished("hopeless")["status"]
    assert (status["state"], status["reason"], status["retriesUsed"]) == ("Failed", "Exception", 0)
    assert "No further attempt: it would start after deadlineSeconds (60)." in status["message"]


def test_pods_go_as_the_policy_says_and_only_after_their_end_is_stored(served: World) -> None:
    served.apply(
        task_run("kept", "def main(): pass"),
        task_run("good", "def main(): pass", podCleanup="KeepFailed"),
        task_run("bad", FAILS, podCleanup="KeepFailed"),
        task_run("gone", FAILS, podCleanup="Delete", retries=1),
    )
    for name in ("kept", "good", "bad", "gone"):
        served.finished(name)
    served.until("the pods are gone", lambda: not {"good-1", "gone-1", "gone-2"} & set(served.pods))
    assert {"kept-1", "bad-1"} <= set(served.pods)
    judged: set[str] = set()
    for seen in served.history:
        name = seen.object["metadata"]["name"]
        if seen.object["kind"] == "TaskRun":
            attempts = seen.object.get("status", {}).get("attempts", [])
            judged |= {f"{name}-{attempt['number']}" for attempt in attempts if "outcome" in attempt}
    assert {"good-1", "gone-1", "gone-2"} <= judged
    assert served.pods_of("gone") == ["gone-1", "gone-2"]
    assert served.runs["gone"]["status"]["disruptionsUsed"] == 0


@pytest.mark.long
def test_a_pod_name_that_stays_taken_costs_a_disruption_and_the_next_one_is_free(served: World) -> None:
    container = {
        "name": "c",
        "image": "podtask.local/runner:dev-py3.11",
        "command": ["sleep", "300"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security, "schedulingGates": [{"name": "example.org/never"}]}
    foreign = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken-1"}, "spec": spec}
    served.kubectl("apply", "-f", "-", given=json.dumps(foreign))
    served.apply(task_run("taken", "def main(): return 2", pendingTimeoutSeconds=BY_THEN_IT_RUNS))
    status = served.finished("taken")["status"]
    assert status["state"] == "Completed"
    first = status["attempts"][0]
    assert (first["outcome"], first["reason"]) == ("Disruption", "PendingTimeout")
    assert "belongs to another object" in first["message"]
    assert first["cure"] == "Delete that pod, or give the run another name."
    assert served.pods_of("taken") == ["taken-2"]
    served.kubectl("delete", "pod", "taken-1", "--wait=false")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"onOutOfMemory": {"memoryFactor": 2}}, 'missing required field "maxMemory"'),
        ({"onOutOfMemory": {"memoryFactor": 1, "maxMemory": "1Gi"}}, "should be greater than 1"),
        ({"deadlineSeconds": 0}, "should be greater than 0"),
        ({"podCleanup": "Sometimes"}, 'supported values: "KeepAll", "KeepFailed", "Delete"'),
    ],
)
def test_what_makes_no_sense_is_refused_by_kubectl_apply(served: World, spec: dict[str, object], words: str) -> None:
    assert words in sentence(lambda: served.apply(task_run("refused", "def main(): pass", **spec)))


def test_bounds_never_change(served: World) -> None:
    served.apply(task_run("fixed", "def main(): pass", deadlineSeconds=60))
    assert "spec.deadlineSeconds is immutable" in sentence(lambda: served.patch("fixed", deadlineSeconds=61))


def test_the_secret_with_the_grants_goes_with_the_end_of_the_run(served: World) -> None:
    served.apply(task_run("spent", "def main(): pass", podCleanup="KeepAll"))
    served.finished("spent")
    assert "spent-1" in served.pods
    served.kubectl("wait", f"secret/{served.secret_of('spent')}", "--for=delete", "--timeout=60s")
