"""Minutes of TaskRuns at a steady rate with a warm pool: nothing may be left over, and nothing may grow.

    python -m tests.bench.soak --minutes 20            5 TaskRuns a second, a pool of 5

Needs the operator installed by Helm (`make soak`). Each minute one row; at the end all TaskRuns have gone by their time
to live, and with them their pods and Secrets. Exit code 1, and a sentence for each, where something is left over, where
the operator has grown, where a TaskRun did not complete, or where a pod served two attempts.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.bench_warm import NOTHING
from tests.bench.tables import show
from tests.cluster.kit import Object, eventually, kubectl, task_run

NAMESPACE, POOL = "soak", "soak"
TTL_SECONDS = 60
ASK_SECONDS = 10
"""Between two looks at all TaskRuns, several in the life of each."""
BEHIND = 200
"""TaskRuns that may be unfinished before no more are made: a slow machine shall not be measured by its queue."""
GROWTH_KIB = 32 * 1024
"""By which the operator may be larger at the end than after the first third: allocators do not give all back."""


@dataclass
class Ends:
    """What was seen of TaskRuns, of which only a few are there at a time."""

    states: dict[str, str] = field(default_factory=dict)
    """Name -> how it ended."""
    served: dict[str, tuple[str, int]] = field(default_factory=dict)
    """UID of a pod -> whom it served."""
    warm: set[str] = field(default_factory=set)
    """Names of those that an idle pod served."""
    twice: set[str] = field(default_factory=set)
    """UIDs of pods that served two attempts."""

    def take(self, run: Object) -> bool:
        """Look at one; whether it has ended."""
        name, status = run["metadata"]["name"], run.get("status", {})
        for attempt in status.get("attempts", ()):
            pod, whom = attempt.get("podUID"), (name, attempt["number"])
            if pod is not None and self.served.setdefault(pod, whom) != whom:
                self.twice.add(pod)
            if pod is not None and "claim" in attempt:
                self.warm.add(name)
        if status.get("finishedAt"):
            self.states[name] = status["state"]
        return bool(status.get("finishedAt"))


def pool(size: int) -> Object:
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "WarmPool",
        "metadata": {"name": POOL},
        "spec": {"size": size},
    }


def objects(kind: str, *arguments: str) -> list[Object]:
    found: list[Object] = json.loads(kubectl("-n", NAMESPACE, "get", kind, "-o", "json", *arguments))["items"]
    return found


def secrets() -> list[str]:
    """Of podtask, in this namespace."""
    managed = "app.kubernetes.io/managed-by=podtask"
    return [each["metadata"]["name"] for each in objects("secrets", "-l", managed)]


def operator_kib() -> int:
    """Resident memory of the operator's process."""
    reader = "print(open('/proc/1/status').read())"
    said = kubectl("-n", "podtask-system", "exec", "deploy/podtask", "--", "python", "-c", reader)
    return int(next(line for line in said.splitlines() if line.startswith("VmRSS")).split()[1])


def restarts() -> int:
    """Of the operator's container: after one its memory says nothing."""
    pods = json.loads(kubectl("-n", "podtask-system", "get", "pods", "-o", "json"))["items"]
    statuses = (status for pod in pods for status in pod["status"].get("containerStatuses", ()))
    return sum(status["restartCount"] for status in statuses)


def submitted(minutes: float, rate: int, ends: Ends) -> Iterator[tuple[float, int]]:
    """Make TaskRuns for so long; seconds since the start and how many were made, each minute."""
    began, made, asked, told = time.monotonic(), 0, float("-inf"), 0.0
    while (passed := time.monotonic() - began) < 60 * minutes:
        if passed - asked >= ASK_SECONDS:
            asked = passed
            for run in objects("taskruns.podtask.dev"):
                ends.take(run)
        if made - len(ends.states) < BEHIND:
            names = [f"s{number}" for number in range(made, made + rate)]
            runs = [task_run(name, NOTHING, ttlSecondsAfterFinished=TTL_SECONDS) for name in names]
            kubectl(
                "-n",
                NAMESPACE,
                "create",
                "-f",
                "-",
                given=json.dumps({"kind": "List", "apiVersion": "v1", "items": runs}),
            )
            made += rate
        if passed - told >= 60:
            told = passed
            yield passed, made
        second = time.monotonic() - began - passed
        time.sleep(max(0.0, 1 - second) * (0.9 + 0.2 * random.random()))  # at every phase of the kubelet's second
    yield time.monotonic() - began, made


def settled(ends: Ends, made: int) -> None:
    """Until every TaskRun has ended, and has gone by its time to live."""

    def gone() -> bool:
        left = objects("taskruns.podtask.dev")
        for run in left:
            ends.take(run)
        return not left

    eventually(f"all of {made} TaskRuns have ended and gone", gone, seconds=600 + TTL_SECONDS, step=5)


def collected(size: int) -> None:
    """Until the garbage collector has removed the pods of the TaskRuns; `faults` tells where it has not."""
    deadline = time.monotonic() + 120
    while len(objects("pods")) > size and time.monotonic() < deadline:
        time.sleep(1)


def faults(ends: Ends, made: int, size: int, kib: list[int], restarted: int) -> list[str]:
    """Sentences; none: all is well."""
    other = Counter(state for state in ends.states.values() if state != "Completed")
    unseen = made - len(ends.states)
    pods = [pod["metadata"]["name"] for pod in objects("pods")]
    left = secrets()
    start = max(kib[: max(1, len(kib) // 3)])
    told = [
        (bool(other), f"{sum(other.values())} TaskRuns did not complete: {dict(other)}."),
        (
            unseen > 0,
            f"{unseen} TaskRuns were gone before anybody saw their end: look more often than each {TTL_SECONDS} s.",
        ),
        (bool(ends.twice), f"{len(ends.twice)} pods served two attempts: {sorted(ends.twice)[:5]}."),
        (not ends.warm, "No attempt was served by an idle pod."),
        (len(pods) != size, f"{len(pods)} pods are left, and the pool has {size}: {pods[:10]}."),
        (bool(left), f"{len(left)} Secrets are left: {left[:10]}."),
        (restarted > 0, f"The operator's container was started anew {restarted} times."),
        (kib[-1] > start + GROWTH_KIB, f"The operator has grown from {start} to {kib[-1]} KiB."),
    ]
    return [sentence for wrong, sentence in told if wrong]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=int, default=5, help="TaskRuns per second")
    parser.add_argument("--size", type=int, default=5, help="idle pods")
    asked = parser.parse_args()
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", NAMESPACE)
    try:
        return soak(asked.minutes, asked.rate, asked.size)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def full(size: int) -> None:
    kubectl("-n", NAMESPACE, "wait", f"pwp/{POOL}", f"--for=jsonpath={{.status.ready}}={size}", "--timeout=120s")


def soak(minutes: float, rate: int, size: int) -> int:
    kubectl("-n", NAMESPACE, "create", "-f", "-", given=json.dumps(pool(size)))
    full(size)
    ends, rows, kib, before, made = Ends(), [], [], restarts(), 0
    for passed, made in submitted(minutes, rate, ends):
        kib.append(operator_kib())
        counts = [made, len(ends.states), len(ends.warm), len(objects("pods")), len(secrets()), kib[-1]]
        rows.append([f"{passed / 60:.1f}", *map(str, counts)])
        print(*rows[-1], flush=True)
    settled(ends, made)
    full(size)
    collected(size)
    kib.append(operator_kib())
    rows.append(
        [
            "after",
            str(made),
            str(len(ends.states)),
            str(len(ends.warm)),
            str(len(objects("pods"))),
            str(len(secrets())),
            str(kib[-1]),
        ]
    )
    show(
        f"{rate} TaskRuns a second, a pool of {size}",
        ["minute", "made", "ended", "warm", "pods", "Secrets", "operator, KiB"],
        rows,
    )
    wrong = faults(ends, made, size, kib, restarts() - before)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
