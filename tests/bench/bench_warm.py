"""What a warm pool saves: a trivial TaskRun and a chain of ten, cold and warm, beside a bare pod in the same run.

Each measurement begins at a random phase of the kubelet's second, and kinds take turns, so that a busy minute hits all
alike. Needs the operator installed by Helm (`make bench`).
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.bench_cluster import WithJobs, bare_pod, job, job_done, pod_done, run_done
from tests.bench.tables import show
from tests.cluster.kit import Object, kubectl, task_run

from podtask.kube.client import Api, connect
from podtask.kube.errors import Asked

NAMESPACE = "bench-warm"
ROUNDS, CHAINS, LINKS, SIZE = 20, 3, 10, 5
WARM: Mapping[str, str] = {"BENCH": "warm"}
"""What only the pool and its task runs have in common, so that the others start cold."""
NOTHING = "def main():\n    pass\n"


def pool(size: int) -> Object:
    env = [{"name": name, "value": value} for name, value in WARM.items()]
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "WarmPool",
        "metadata": {"name": "bench"},
        "spec": {"size": size, "env": env},
    }


def warm(name: str) -> Object:
    return task_run(name, NOTHING, env=[{"name": name, "value": value} for name, value in WARM.items()])


KINDS: tuple[tuple[str, Callable[[str], Object], Callable[[Any, str], bool]], ...] = (
    ("bare pod", bare_pod, pod_done),
    ("batch Job", job, job_done),
    ("TaskRun, cold", lambda name: task_run(name, NOTHING), run_done),
    ("TaskRun, warm", warm, run_done),
)


def full() -> None:
    """Until every pod of the pool waits."""
    kubectl("-n", NAMESPACE, "wait", "pwp/bench", f"--for=jsonpath={{.status.ready}}={SIZE}", "--timeout=120s")


def posted(api: Api, manifest: Object) -> None:
    """One POST on a connection that is open: the start of kubectl would be a third of what is measured."""
    version, name = manifest["apiVersion"], manifest["metadata"]["name"]
    plural = {"Pod": "pods", "Job": "jobs", "TaskRun": "taskruns"}[manifest["kind"]]
    root = "api" if "/" not in version else "apis"
    api.ask(
        Asked("create", plural, NAMESPACE, name),
        "POST",
        f"/{root}/{version}/namespaces/{NAMESPACE}/{plural}",
        {},
        manifest,
    )


def one_by_one(world: WithJobs, api: Api) -> None:
    seconds: dict[str, list[float]] = {kind[0]: [] for kind in KINDS}
    for turn in range(ROUNDS):
        for number, (label, make, done) in enumerate(KINDS):
            full()
            time.sleep(random.random())
            name = f"k{number}-{turn}"
            began = time.monotonic()
            posted(api, make(name))
            world.until(f"{name} is done", lambda name=name, done=done: done(world, name) or None)
            seconds[label].append(time.monotonic() - began)
    rows = [[label, *_spread(taken)] for label, taken in seconds.items()]
    show(
        f"One by one, seconds from the POST to the end seen by a watch, {ROUNDS} each at random phase",
        ["", "median", "p95", "least", "most"],
        rows,
    )


def chain(env: Mapping[str, str]) -> float:
    """Seconds for ten dependent calls of the SDK, from the first call to the last result."""
    script = Path(__file__).with_name("warm_chain.py")
    pairs = [f"{name}={value}" for name, value in env.items()]
    where = {"PODTASK_BACKEND": "kubernetes", "PODTASK_NAMESPACE": NAMESPACE, "PODTASK_PROGRESS": "off"}
    command = [sys.executable, str(script), str(LINKS), *pairs]
    done = subprocess.run(command, env={**os.environ, **where}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def chains() -> None:
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(CHAINS):
        for label, env in (("cold", {}), ("warm", WARM)):
            full()
            time.sleep(random.random())
            seconds[label].append(chain(env))
    rows = [[label, *_spread(taken)] for label, taken in seconds.items()]
    show(
        f"A chain of {LINKS} dependent calls of the SDK, seconds, {CHAINS} each; the pool has {SIZE} pods",
        ["", "median", "p95", "least", "most"],
        rows,
    )


def _spread(seconds: list[float]) -> list[str]:
    ordered = sorted(seconds)
    at95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return [f"{value:.2f}" for value in (statistics.median(ordered), at95, ordered[0], ordered[-1])]


def main() -> None:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", NAMESPACE)
    world, api = WithJobs(NAMESPACE), connect()
    try:
        world.apply(pool(SIZE))
        one_by_one(world, api)
        chains()
        print(kubectl("-n", NAMESPACE, "get", "pwp"))
    finally:
        api.close()
        world.close()
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
