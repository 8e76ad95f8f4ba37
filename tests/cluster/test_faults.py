"""Operator, pods, S3 server and API server go away at bad moments: every run ends once, and with the truth.

One operator process serves the module's namespace; the tests kill it and start it again. Crash windows between single
writes: `tests/faults/test_kills`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import invariants
from tests.cluster.invariants import EVIDENCE, container_state, outcomes
from tests.cluster.kit import Object, World, let_go, task_run
from tests.cluster.operator_process import RUNNERS, Operator, without_installed
from tests.cluster.outage import away, switchable

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

MANY = [f"many-{n:02}" for n in range(20)]
COMPLETED = ("Completed", "Completed")
STOPS_WITHIN = 5.0


def takes(seconds: float, then: float | None = None) -> str:
    """Source of a task: its first attempt takes so long, later ones `then`."""
    return f"""
import os, time
def main():
    print("{EVIDENCE}", flush=True)
    time.sleep({seconds} if os.environ["PODTASK_ATTEMPT"] == "1" else {seconds if then is None else then})
    return os.environ["PODTASK_ATTEMPT"]
"""


GATED = f"""
import os, time
def main():
    print("{EVIDENCE}", flush=True)
    began = time.monotonic()
    while not os.path.exists("/tmp/go") and time.monotonic() - began < 240:
        time.sleep(0.05)
    return os.environ["PODTASK_ATTEMPT"]
"""
"""Goes on when it is told to: see `Place.let_go`."""

FAILS_ONCE = f"""
import os
def main():
    print("{EVIDENCE}", flush=True)
    if os.environ["PODTASK_ATTEMPT"] == "1":
        raise ValueError("not yet")
    return 2
"""


class Place:
    """The module's namespace and the operator that serves it now."""

    def __init__(self, world: World, store: Store, folder: Path) -> None:
        self.world = world
        self.store = store
        self._folder = folder
        self.operator = self._start()

    def kill_operator(self) -> None:
        self.operator.kill()

    def start_operator(self) -> None:
        self.operator = self._start()

    def running(self, *names: str) -> None:
        """Wait until the containers of the first attempts have started."""
        for name in names:
            self.world.until(
                f"the container of {name}-1 has started",
                lambda pod=f"{name}-1": {"running", "terminated"} & self.state(pod).keys(),
            )

    def state(self, pod: str) -> Object:
        """State of a pod's container; empty where there is none."""
        return container_state(self.world.pods.get(pod, {"status": {}}))

    def let_go(self, *names: str) -> None:
        """Let the gated tasks of these runs go on, in their first attempts."""
        let_go(self.world, *(f"{name}-1" for name in names))

    def force_delete(self, *pods: str) -> None:
        """What a person does to a pod that hangs: gone at once, whatever its container does."""
        self.world.kubectl("delete", "pod", *pods, "--force", "--grace-period=0", "--wait=false")

    def ended(self, name: str, seconds: float = 120) -> Object:
        """The run that has ended, after the invariants were checked."""
        self.world.finished(name, seconds)
        return invariants.check(self.world, self.store, name)

    def _start(self) -> Operator:
        return Operator(self._folder, self.world.namespace)


@pytest.fixture(scope="module")
def place(world: World, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with without_installed():
        made = Place(world, store, tmp_path_factory.mktemp("operators"))
        yield made
        made.operator.end()


@pytest.fixture(scope="module")
def after_absence(place: Place) -> Place:
    """Much happens while the operator is away."""
    world = place.world
    world.apply(
        *(task_run(name, GATED) for name in (*MANY, "lost", "finished-away", "cancelled-away")),
    )
    place.running(*MANY, "finished-away", "cancelled-away")
    world.in_state("lost", "Running")
    place.kill_operator()
    place.let_go("finished-away", *MANY[::2])
    world.patch("cancelled-away", cancel=True)
    world.until("the task of finished-away has ended", lambda: "terminated" in place.state("finished-away-1"))
    place.force_delete("lost-1", "finished-away-1")
    world.until("both pods are gone", lambda: not {"lost-1", "finished-away-1"} & set(world.pods))
    place.start_operator()
    place.let_go(*MANY[1::2])
    world.until("there is a second pod of lost", lambda: "running" in place.state("lost-2"))
    let_go(world, "lost-2")
    return place


@pytest.mark.parametrize("name", MANY)
def test_runs_in_whose_middle_the_operator_is_killed_end_once_and_with_one_pod(after_absence: Place, name: str) -> None:
    run = after_absence.ended(name)
    assert (run["status"]["state"], outcomes(run)) == ("Completed", [COMPLETED])
    assert after_absence.world.pods_of(name) == [f"{name}-1"]


def test_a_pod_lost_together_with_the_operator_is_a_disruption_and_no_retry(after_absence: Place) -> None:
    run = after_absence.ended("lost")
    assert [outcome for outcome, _ in outcomes(run)] == ["Disruption", "Completed"]
    assert (run["status"]["retriesUsed"], run["status"]["disruptionsUsed"]) == (0, 1)


def test_work_that_was_finished_is_not_repeated_when_its_pod_is_lost_together_with_the_operator(
    after_absence: Place,
) -> None:
    run = after_absence.ended("finished-away")
    assert (run["status"]["state"], outcomes(run)) == ("Completed", [COMPLETED])
    assert run["status"]["result"]["value"] == '"1"'
    assert after_absence.world.pods_of("finished-away") == ["finished-away-1"]


def test_a_cancel_while_the_operator_is_away_is_carried_out_when_it_is_back(after_absence: Place) -> None:
    run = after_absence.ended("cancelled-away")
    assert (run["status"]["state"], outcomes(run)) == ("Cancelled", [("Cancelled", "Cancelled")])
    after_absence.world.until(
        "no container of cancelled-away runs",
        lambda: "running" not in after_absence.state("cancelled-away-1"),
    )


@pytest.fixture(scope="module")
def disturbed(place: Place) -> Place:
    """Things people do to running runs, all at the same time."""
    world = place.world
    world.kubectl("create", "-f", "-", given=json.dumps(foreign_pod("taken-1")))
    world.apply(
        task_run("deleted-early", takes(60, then=0), retries=1),
        task_run("deleted-late", takes(60, then=0), retries=1),
        task_run("taken", takes(0)),
        task_run("again", takes(60)),
    )
    place.running("deleted-early")
    world.kubectl("delete", "pod", "deleted-early-1", "--grace-period=1", "--wait=false")
    world.in_state("deleted-late", "Running")
    world.kubectl("delete", "pod", "deleted-late-1", "--wait=false")
    return place


def test_a_pod_deleted_by_a_user_is_a_disruption_and_no_retry(disturbed: Place) -> None:
    for name in ("deleted-early", "deleted-late"):
        run = disturbed.ended(name)
        assert (run["status"]["state"], run["status"]["attempts"][0]["outcome"]) == ("Completed", "Disruption")
        assert (run["status"]["retriesUsed"], run["status"]["disruptionsUsed"]) == (0, 1)
        assert disturbed.world.pods_of(name) == [f"{name}-1", f"{name}-2"]


def test_a_pod_name_that_is_taken_is_waited_for_and_neither_adopted_nor_deleted(disturbed: Place) -> None:
    world = disturbed.world
    world.in_state("taken", "Pending", "PodNameConflict")
    assert "ownerReferences" not in world.pods["taken-1"]["metadata"]
    disturbed.force_delete("taken-1")
    run = disturbed.ended("taken")
    assert (run["status"]["state"], outcomes(run)) == ("Completed", [COMPLETED])


def test_delete_and_apply_of_the_same_name_is_a_new_run_from_the_start(disturbed: Place) -> None:
    world = disturbed.world
    disturbed.running("again")
    before = world.runs["again"]["metadata"]["uid"]
    world.kubectl("delete", "ptr", "again", "--wait=false")
    world.apply(task_run("again", takes(0)))
    world.until(
        "the new run has ended",
        lambda: (
            world.runs.get("again", {}).get("metadata", {}).get("uid") not in (None, before)
            and world.runs["again"].get("status", {}).get("finishedAt")
        ),
    )
    run = disturbed.ended("again")
    assert (run["status"]["state"], outcomes(run)) == ("Completed", [COMPLETED])


def through_an_outage(place: Place, what: str, seconds: float, *how: str) -> None:
    """Runs that run, that end and that are to be retried while a component is away: all end as if nothing had been."""
    world = place.world
    switchable()
    names = {"runs-on": takes(seconds + 5), "ends-meanwhile": takes(5), "retries": FAILS_ONCE}
    runs = {f"{what}-{name}": source for name, source in names.items()}
    retry = {"retries": 1, "retryDelaySeconds": [1]}
    world.apply(*(task_run(name, source, **retry) for name, source in runs.items() if "retries" not in name))
    place.running(f"{what}-runs-on", f"{what}-ends-meanwhile")
    world.apply(task_run(f"{what}-retries", FAILS_ONCE, **retry))
    world.until("the retried run's first pod is there", lambda: f"{what}-retries-1" in world.pods)
    with away(what, seconds, *how):
        if what == "s3":
            world.apply(task_run("s3-submitted", takes(0), cache={"key": f"new-{secrets.token_hex(8)}"}))
            runs["s3-submitted"] = "its cache lookup needs the server that is away"
    for name in runs:
        run = place.ended(name)
        expected = [("Failed", "Exception"), COMPLETED] if name.endswith("retries") else [COMPLETED]
        assert (run["status"]["state"], outcomes(run)) == ("Completed", expected)
        assert len(world.pods_of(name)) == len(expected)
    assert place.operator.alive


@pytest.mark.long
def test_half_a_minute_without_the_s3_server_loses_and_repeats_nothing(place: Place) -> None:
    through_an_outage(place, "s3", 30)


@pytest.mark.long
def test_a_quarter_of_a_minute_without_the_api_server_loses_and_repeats_nothing(place: Place) -> None:
    through_an_outage(place, "apiserver", 15, "--signal", "KILL")


def test_a_new_run_is_served_after_all_this_and_leaves_nothing_behind(place: Place) -> None:
    place.world.apply(task_run("last", takes(0)))
    assert place.ended("last")["status"]["state"] == "Completed"
    invariants.nothing_is_left(place.world, "last")


def test_sigterm_ends_the_operator_within_seconds(place: Place) -> None:
    place.world.apply(task_run("in-flight", takes(60)))
    place.running("in-flight")
    assert place.operator.stop() < STOPS_WITHIN


def foreign_pod(name: str) -> Object:
    """A pod that belongs to nobody and does not end by itself."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["python3", "-c", "import time; time.sleep(600)"]
    container = {
        "name": "own",
        "image": next(iter(RUNNERS.values())),
        "command": command,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": security,
    }
    user = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": user, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
