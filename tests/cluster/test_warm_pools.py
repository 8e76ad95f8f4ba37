"""Warm pools on a real kubelet: a claim serves a run, the size is kept, and no pod serves two attempts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.kit import Object, Refused, World, eventually, sentence, task_run

from podtask.core.api.names import ANNOTATION_CLAIM, LABEL_ATTEMPT, LABEL_POOL, LABEL_POOL_STATE, LABEL_TASK_RUN

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

POOLS = "warmpools.podtask.dev"
RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
"""Of this module's own, so that nothing else fits."""
WHO = (
    "import os\n"
    "from podtask_runner.attempt.context import current\n"
    "def main():\n"
    "    now = current()\n"
    "    print('printed', now.task_run)\n"
    "    return [now.task_run, now.attempt, os.environ['PODTASK_TASK_RUN'], os.environ['HOSTNAME']]\n"
)
SLEEPS = "import time\ndef main():\n    time.sleep(600)\n"


def pool(name: str, size: int = 1, **spec: Any) -> Object:
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "WarmPool",
        "metadata": {"name": name},
        "spec": {"size": size, "resources": RESOURCES, **spec},
    }


def fitting(name: str, source: str = WHO, **spec: Any) -> Object:
    return task_run(name, source, resources=RESOURCES, **spec)


def status(world: World, name: str) -> Object:
    found: Object = json.loads(world.kubectl("get", POOLS, name, "-o", "json")).get("status", {})
    return found


def ready(world: World, name: str, size: int) -> list[str]:
    """Names of the pool's idle pods, once so many wait and no more."""

    def there() -> list[str] | None:
        pods = idle(world, name)
        return pods if len(pods) == size and status(world, name).get("ready", 0) == size else None

    if size == 0:
        eventually(f"nothing waits in {name}", lambda: not idle(world, name), seconds=120)
        return []
    return eventually(f"{size} pods wait in {name}", there, seconds=120)


def idle(world: World, name: str) -> list[str]:
    return [
        pod
        for pod, obj in list(world.pods.items())
        if obj["metadata"].get("labels", {}).get(LABEL_POOL) == name
        and obj["metadata"]["labels"].get(LABEL_POOL_STATE) == "idle"
        and "deletionTimestamp" not in obj["metadata"]
    ]


@pytest.fixture
def small(served: World) -> Iterator[World]:
    """A pool of one pod that waits."""
    served.apply(pool("small"))
    ready(served, "small", 1)
    yield served
    served.kubectl("delete", POOLS, "small", "--ignore-not-found")


def test_a_run_that_fits_is_served_by_the_pod_that_waits_and_the_pool_is_filled_again(small: World) -> None:
    (waits,) = ready(small, "small", 1)
    uid = small.pods[waits]["metadata"]["uid"]
    small.apply(fitting("served"))
    ended = small.finished("served")["status"]
    assert ended["state"] == "Completed", ended
    (attempt,) = ended["attempts"]
    assert attempt["claim"] == {"podName": waits, "podUID": uid}
    assert json.loads(ended["result"]["value"]) == ["served", 1, "served", waits]
    assert attempt["startedAt"] >= attempt["recordedAt"]
    assert small.kubectl("logs", waits).splitlines()[-1] == "printed served"
    metadata = small.pods[waits]["metadata"]
    assert metadata["labels"][LABEL_TASK_RUN] == "served"
    assert metadata["ownerReferences"][0]["kind"] == "TaskRun"
    assert ready(small, "small", 1) != [waits]


def test_a_retry_is_served_too_and_never_by_the_same_pod(small: World) -> None:
    source = "from podtask_runner.attempt.context import current\ndef main():\n    assert current().attempt == 2\n"
    small.apply(fitting("again", source, retries=1, retryDelaySeconds=[20]))
    ended = small.finished("again", seconds=150)["status"]
    assert ended["state"] == "Completed", ended
    taken = [attempt.get("claim", {}).get("podUID") for attempt in ended["attempts"]]
    assert len(taken) == 2
    assert all(taken)
    assert len(set(taken)) == 2


def test_of_many_at_once_no_pod_serves_two_and_all_end(served: World) -> None:
    served.apply(pool("many", size=4))
    ready(served, "many", 4)
    names = [f"burst-{n}" for n in range(12)]
    served.apply(*(fitting(name) for name in names))
    ends = {name: served.finished(name, seconds=240)["status"] for name in names}
    served.kubectl("delete", POOLS, "many")
    assert {end["state"] for end in ends.values()} == {"Completed"}
    pods = [json.loads(end["result"]["value"])[3] for end in ends.values()]
    assert len(set(pods)) == len(names)
    assert sum("claim" in end["attempts"][0] for end in ends.values()) >= 4
    served_by: dict[str, set[tuple[str, str]]] = {}
    for seen in served.history:
        labels = seen.object["metadata"].get("labels", {})
        if seen.object["kind"] == "Pod" and labels.get(LABEL_TASK_RUN):
            uid = seen.object["metadata"]["uid"]
            served_by.setdefault(uid, set()).add((labels[LABEL_TASK_RUN], labels[LABEL_ATTEMPT]))
    assert all(len(attempts) == 1 for attempts in served_by.values())


def test_cancel_stops_a_warm_attempt(small: World) -> None:
    small.apply(fitting("stopped", SLEEPS))
    small.in_state("stopped", "Running")
    assert "claim" in small.runs["stopped"]["status"]["attempts"][0]
    small.patch("stopped", cancel=True)
    assert small.finished("stopped")["status"]["state"] == "Cancelled"


def test_a_timeout_counts_from_the_claim(small: World) -> None:
    small.apply(fitting("late", SLEEPS, timeoutSeconds=2))
    ended = small.finished("late")["status"]
    assert (ended["state"], "claim" in ended["attempts"][0]) == ("TimedOut", True)


def test_an_attempt_whose_pod_is_deleted_goes_on_in_another(small: World) -> None:
    small.apply(fitting("moved", SLEEPS))
    running = small.in_state("moved", "Running")["status"]["attempts"][0]
    small.kubectl("delete", "pod", running["claim"]["podName"], "--wait=false")
    small.until(
        "the second attempt is recorded", lambda: len(small.runs["moved"]["status"].get("attempts", ())) == 2 or None
    )
    assert small.runs["moved"]["status"]["attempts"][0]["outcome"] == "Disruption"
    small.patch("moved", cancel=True)
    small.finished("moved")


def test_a_run_that_does_not_fit_has_a_pod_of_its_own(small: World) -> None:
    small.apply(task_run("cold", WHO))
    ended = small.finished("cold")["status"]
    assert "claim" not in ended["attempts"][0]
    assert json.loads(ended["result"]["value"])[3] == "cold-1"


def test_it_is_scaled_by_kubectl(served: World) -> None:
    served.apply(pool("scaled"))
    for size in (3, 1, 0, 2):
        served.kubectl("scale", f"{POOLS}/scaled", f"--replicas={size}")
        ready(served, "scaled", size)
    served.kubectl("delete", POOLS, "scaled")


def test_an_idle_pod_that_somebody_deletes_is_replaced(small: World) -> None:
    (waits,) = ready(small, "small", 1)
    small.kubectl("delete", "pod", waits)
    assert ready(small, "small", 1) != [waits]


def test_the_pool_goes_with_its_idle_pods_and_without_those_that_attempts_have_taken(served: World) -> None:
    served.apply(pool("gone", size=2))
    ready(served, "gone", 2)
    served.apply(fitting("stays", SLEEPS))
    taken = served.in_state("stays", "Running")["status"]["attempts"][0]["claim"]["podName"]
    served.kubectl("delete", POOLS, "gone")
    eventually("the idle pods are gone", lambda: not idle(served, "gone"))
    assert served.pods[taken]["status"]["phase"] == "Running"
    served.patch("stays", cancel=True)
    served.finished("stays")


def test_a_quota_is_told_in_the_condition(served: World) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"count/pods": "0"}},
    }
    served.apply(quota, pool("refused"))
    found = eventually("the refusal is told", lambda: _not_ready(served, "refused", "Quota"))
    assert "exceeded quota" in found
    served.kubectl("delete", "resourcequota", "few")
    ready(served, "refused", 1)
    served.kubectl("delete", POOLS, "refused")


def _not_ready(world: World, name: str, reason: str) -> str | None:
    for condition in status(world, name).get("conditions", ()):
        if (condition["status"], condition["reason"]) == ("False", reason):
            return str(condition["message"])
    return None


def test_a_pod_with_the_annotation_and_no_grants_starts_nothing(small: World) -> None:
    """Who may patch pods can write a claim; without the Secret that the operator writes nothing comes of it."""
    (waits,) = ready(small, "small", 1)
    uid = small.pods[waits]["metadata"]["uid"]
    claim = f"{ANNOTATION_CLAIM}=someone/1/{uid}/{'0' * 64}"
    small.kubectl("annotate", "pod", waits, "--overwrite", claim)
    small.apply(fitting("mine"))
    ended = small.finished("mine")["status"]
    assert json.loads(ended["result"]["value"])[0] == "mine"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"preload": ["no spaces"]}, "should match"),
        ({"preload": ["m"] * 17}, "must have at most 16 items"),
        ({"size": 51}, "less than or equal to 50"),
        ({"maxIdleSeconds": 30}, "greater than or equal to 60"),
        ({"image": "own:latest"}, "must be pinned by a digest"),
        ({"image": f"own@sha256:{'0' * 64}", "python": "3.11"}, "give python or image, not both"),
    ],
    ids=str,
)
def test_the_schema_refuses_with_a_sentence(served: World, spec: Object, said: str) -> None:
    assert re.search(said, sentence(lambda: served.apply({**pool("wrong"), "spec": {"size": 1, **spec}})))


def test_what_a_pool_is_made_of_does_not_change(small: World) -> None:
    with pytest.raises(Refused, match=r"spec\.resources is immutable: create a WarmPool under another name instead"):
        small.kubectl("patch", POOLS, "small", "--type=merge", "-p", '{"spec": {"resources": null}}')
