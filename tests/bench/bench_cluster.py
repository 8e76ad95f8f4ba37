"""What a TaskRun costs on the real cluster, beside a bare pod and a batch Job of the same image in the same run.

Needs the operator installed by Helm (`make bench`). Writes are counted in the API server's audit log.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.tables import show, spread
from tests.cluster.kit import Object, World, kubectl, task_run

IMAGE = "podtask.local/runner:dev-py3.11"
NAMESPACE = "bench"
OPERATOR = "system:serviceaccount:podtask-system:podtask"
SEQUENTIAL, TOGETHER = 10, 20
WRITES = ("create", "update", "patch", "delete")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

POD_SPEC: Object = {
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
    "containers": [
        {"name": "task", "image": IMAGE, "command": ["python3", "-c", "pass"], "imagePullPolicy": "IfNotPresent"}
    ],
}


def bare_pod(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": POD_SPEC}


def job(name: str) -> Object:
    template = {"spec": POD_SPEC}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


def trivial(name: str) -> Object:
    return task_run(name, "def main():\n    pass\n")


def pod_done(world: World, name: str) -> bool:
    return world.pods.get(name, {}).get("status", {}).get("phase") == "Succeeded"


def job_done(world: WithJobs, name: str) -> bool:
    conditions = world.jobs.get(name, {}).get("status", {}).get("conditions", [])
    return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)


def run_done(world: World, name: str) -> bool:
    return bool(world.runs.get(name, {}).get("status", {}).get("finishedAt"))


class WithJobs(World):
    """Jobs are watched too."""

    def __init__(self, namespace: str) -> None:
        self.jobs: dict[str, Object] = {}
        super().__init__(namespace)
        self._readers.append(self._read("jobs", self.jobs))


Kind = tuple[str, Callable[[str], Object], Callable[[Any, str], bool]]
KINDS: tuple[Kind, ...] = (
    ("bare pod", bare_pod, pod_done),
    ("batch Job", job, job_done),
    ("TaskRun", trivial, run_done),
)


def measure(world: WithJobs, names: list[str], kind: Kind) -> float:
    """Seconds from the create call to the end of the last of `names`, as a watch sees it."""
    _, make, done = kind
    began = time.monotonic()
    world.apply(*map(make, names))
    for name in names:
        world.until(f"{name} is done", lambda name=name: done(world, name) or None)
    return time.monotonic() - began


def end_to_end(world: WithJobs) -> None:
    alone: dict[str, list[float]] = {kind[0]: [] for kind in KINDS}
    for turn in range(SEQUENTIAL):  # interleaved, so that a busy minute hits all kinds alike
        for kind in KINDS:
            label = kind[0].split()[-1].lower()
            alone[kind[0]].append(measure(world, [f"{label}-{turn}"], kind))
    together = {}
    for kind in KINDS:
        label = kind[0].split()[-1].lower()
        together[kind[0]] = measure(world, [f"{label}-many-{n}" for n in range(TOGETHER)], kind)
    rows = [[name, spread(alone[name]), f"{together[name]:.2f}"] for name, _, _ in KINDS]
    show(
        f"End to end, seconds from kubectl to the end seen by a watch: median of {SEQUENTIAL} (least - most)",
        ["", "one by one", f"{TOGETHER} at once"],
        rows,
    )


def operator_cpu() -> float:
    """CPU seconds the operator's process has used."""
    reader = "print(open('/proc/1/stat').read())"
    stat = kubectl("-n", "podtask-system", "exec", "deploy/podtask", "--", "python", "-c", reader)
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def audit(since: float) -> list[Object]:
    """The operator's requests since then, oldest first."""
    log = Path(os.environ["KUBECONFIG"]).parent / "logs" / "audit.log"
    entries = (json.loads(line) for line in log.read_text().splitlines() if OPERATOR in line)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    return [e for e in entries if e["requestReceivedTimestamp"] >= stamp and e["user"]["username"] == OPERATOR]


def cost(world: World, label: str, make: Callable[[str], Object], count: int) -> list[object]:
    """Writes by kind and CPU per TaskRun."""
    since, cpu = time.time(), operator_cpu()
    names = [f"{label}-{n}" for n in range(count)]
    world.apply(*map(make, names))
    for name in names:
        world.finished(name, 180)
    used = operator_cpu() - cpu
    calls: Counter[str] = Counter()
    for entry in audit(since):
        ref = entry.get("objectRef", {})
        if ref.get("namespace") != NAMESPACE:
            continue
        what = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
        calls["reads" if entry["verb"] not in WRITES else what] += 1
    writes = sum(n for what, n in calls.items() if what not in ("reads", "events"))
    detail = ", ".join(f"{what} {n / count:.2f}" for what, n in sorted(calls.items()))
    return [label, f"{writes / count:.2f}", f"{1000 * used / count:.1f}", detail]


def operator_cost(world: World) -> None:
    once = "def main():\n    return 1\n"
    flaky = "import os\ndef main():\n    assert int(os.environ['PODTASK_ATTEMPT']) > 1\n"
    cases = [
        ("uncached", lambda name: task_run(name, once), 20),
        ("cached", lambda name: task_run(name, once, cache={"key": "bench"}), 20),
        ("one-retry", lambda name: task_run(name, flaky, retries=1), 10),
        ("one-retry-after-1s", lambda name: task_run(name, flaky, retries=1, retryDelaySeconds=[1]), 10),
    ]
    world.apply(task_run("warm", once, cache={"key": "bench"}))
    world.finished("warm")
    rows = [cost(world, *case) for case in cases]
    header = ["", "writes", "CPU ms", "calls per TaskRun"]
    show(
        "What the operator does per TaskRun (Events and reads apart; CPU includes the probes of that time)",
        header,
        rows,
    )


def main() -> None:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", NAMESPACE)
    world = WithJobs(NAMESPACE)
    try:
        end_to_end(world)
        operator_cost(world)
    finally:
        world.close()
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
