"""The lives of a TaskRun whose writes are fixed: what is applied, done meanwhile, written.

Used by `test_api_faults` (each write is harmed) and `test_kills` (the operator dies before and after each).
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cluster.invariants import EVIDENCE, container_state, outcomes
from tests.cluster.kit import Object, World, let_go, task_run, together

COMPLETED, FAILED = ("Completed", "Completed"), ("Failed", "Exception")
LOST = ("Disruption", "Lost")
PATIENCE = 400.0
"""Seconds: the runs of all cases begin at once, on a machine that may have much else to do."""

QUICK = f"""
def main(given=1):
    print("{EVIDENCE}", flush=True)
    return given
"""
FAILS_ONCE = f"""
import os
def main():
    print("{EVIDENCE}", flush=True)
    if os.environ["PODTASK_ATTEMPT"] == "1":
        raise ValueError("not yet")
    return "done"
"""
HANGS = f"""
import time
def main():
    print("{EVIDENCE}", flush=True)
    time.sleep(600)
"""
HANGS_ONCE = f"""
import os, time
def main():
    print("{EVIDENCE}", flush=True)
    time.sleep(600 if int(os.environ["PODTASK_ATTEMPT"]) <= int(os.environ["HANGS"]) else 0)
"""
GATED = f"""
import os, time
def main():
    print("{EVIDENCE}", flush=True)
    began = time.monotonic()
    while not os.path.exists("/tmp/go") and time.monotonic() - began < {2 * PATIENCE}:
        time.sleep(0.05)
"""
"""Goes on when it is told to: see `kit.let_go`."""


def no_more(world: World, names: Sequence[str]) -> None:
    """Nothing is done meanwhile."""


@dataclass(frozen=True)
class Scenario:
    """One life, for a run of any name."""

    name: str
    writes: tuple[str, ...]
    """Of the operator for the run, in order; `{run}` stands for its name."""
    made: Callable[[str], Sequence[Object]]
    """Manifests; the last is the run that is looked at."""
    state: str = "Completed"
    outcomes: tuple[tuple[str, str], ...] = (COMPLETED,)
    """Of each attempt; its reason as a pattern, where two witnesses may be heard first."""
    meanwhile: Callable[[World, Sequence[str]], None] = no_more
    before: tuple[str, ...] = ()
    """Writes for the runs that this one needs."""

    def ended_as_it_should(self, run: Object) -> None:
        """Assert state, attempts and their outcomes."""
        status, found = run["status"], outcomes(run)
        assert status["state"] == self.state, status
        assert len(found) == len(self.outcomes), found
        for (outcome, reason), (expected, pattern) in zip(found, self.outcomes, strict=True):
            assert outcome == expected, found
            assert re.fullmatch(pattern, reason), found

    def api_write(self, number: int) -> int | None:
        """The number of write `number` among those to the API server; None for one into the bucket."""
        ours = [n for n, what in enumerate(self.writes, 1) if not what.startswith("PUT")]
        return ours.index(number) + 1 if number in ours else None


def own_key() -> str:
    """A cache key that nobody else has: the bucket outlives namespaces."""
    return f"key-{secrets.token_hex(8)}"


def chain(name: str) -> Sequence[Object]:
    upstream = [{"taskRun": f"{name}-up", "parameter": "given"}]
    return [task_run(f"{name}-up", QUICK), task_run(name, QUICK, upstream=upstream)]


def running_pods(world: World, names: Sequence[str], others_than: Sequence[str] = ()) -> list[str]:
    """Pods of these runs whose containers run; waits until each run has one."""

    def running(name: str) -> str | None:
        pods = [pod for pod in world.pods_of(name) if pod not in others_than]
        return next((pod for pod in pods if "running" in container_state(world.pods.get(pod, NO_POD))), None)

    return [world.until(f"a container of {name} runs", functools.partial(running, name), PATIENCE) for name in names]


NO_POD: Object = {"status": {}}


def cancel(world: World, names: Sequence[str]) -> None:
    """Cancel each once its task runs."""
    running_pods(world, names)
    if names:
        together({name: functools.partial(world.patch, name, cancel=True) for name in names})


def delete_pods(world: World, names: Sequence[str]) -> None:
    """Somebody deletes the pods once the tasks run; the tasks of the next ones go on."""
    pods = running_pods(world, names)
    if pods:
        world.kubectl("delete", "pod", *pods, "--grace-period=5", "--wait=false")
        let_go(world, *running_pods(world, names, others_than=pods))


START = ("PATCH status: Pending; attempts 1 runs", "PATCH secrets {run}-grants", "POST pods {run}-1")
REVOKED = "DELETE secrets {run}-grants"
END = (REVOKED, "PATCH status: Completed; attempts 1 Completed")
AGAIN = ("PATCH secrets {run}-grants", "POST pods {run}-2")

SUCCESS = Scenario("success", (*START, *END), lambda name: [task_run(name, QUICK)])
RETRY = Scenario(
    "retry",
    (
        *START,
        "PATCH status: AwaitingRetry; attempts 1 Failed",
        "PATCH status: Retrying; attempts 1 Failed, 2 runs",
        *AGAIN,
        "PUT cache",
        REVOKED,
        "PATCH status: Completed; attempts 1 Failed, 2 Completed",
    ),
    lambda name: [task_run(name, FAILS_ONCE, retries=1, retryDelaySeconds=[0.5], cache={"key": own_key()})],
    outcomes=(FAILED, COMPLETED),
)
MISS = Scenario("miss", (*START, "PUT cache", *END), lambda name: [task_run(name, QUICK, cache={"key": own_key()})])
CANCEL = Scenario(
    "cancel",
    (
        *START,
        "PATCH status: unchanged; attempts 1 runs",
        "PATCH pods {run}-1",
        REVOKED,
        "PATCH status: Cancelled; attempts 1 Cancelled",
    ),
    lambda name: [task_run(name, HANGS)],
    state="Cancelled",
    outcomes=(("Cancelled", "Cancelled"),),
    meanwhile=cancel,
)
DISRUPTION = Scenario(
    "disruption",
    (
        *START,
        "PATCH status: unchanged; attempts 1 Disruption, 2 runs",
        *AGAIN,
        REVOKED,
        "PATCH status: Completed; attempts 1 Disruption, 2 Completed",
    ),
    lambda name: [task_run(name, GATED)],
    outcomes=(("Disruption", "PodDeleted|Interrupted"), COMPLETED),
    meanwhile=delete_pods,
)
GIVES_UP = Scenario(
    "gives-up",
    (
        *START,
        "PATCH status: unchanged; attempts 1 runs",
        "PATCH status: unchanged; attempts 1 runs",
        "DELETE pods {run}-1",
        REVOKED,
        "PATCH status: Crashed; attempts 1 Disruption",
    ),
    lambda name: [
        task_run(name, QUICK, nodeSelector={"podtask-tests/none": "x"}, pendingTimeoutSeconds=30, maxDisruptions=0)
    ],
    state="Crashed",
    outcomes=(("Disruption", "PendingTimeout"),),
)
CHAIN = Scenario(
    "chain", (*START, *END), chain, before=tuple(what.replace("{run}", "{run}-up") for what in (*START, *END))
)


def hit(key: str) -> Scenario:
    """The result is there before the run is."""
    made = lambda name: [task_run(name, QUICK, cache={"key": key})]  # noqa: E731
    return Scenario("hit", ("PATCH status: Cached; attempts unchanged",), made, state="Cached", outcomes=())
