"""How far an operator goes (`make bench-scale`): many TaskRuns, a small tenant beside a big one, a restart.

    python -m tests.bench.bench_size                        every table, with at most 10,000 TaskRuns
    python -m tests.bench.bench_size restart --most 100000  one of them, with more

Pods go to simulated nodes (`kwok`), so that the numbers are those of operator, API server and scheduler. All of these
and the bench share the machine: a table names the CPU that each of them took, since the largest is what limits.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.audit import Audit
from tests.bench.bench_scale import MB, STEP, TICKS, finish, percentiles
from tests.bench.kwok import nodes, simulated
from tests.bench.tables import show
from tests.cluster.kit import Object, Refused, eventually, kubectl
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.api.names import GROUP, PLURAL, VERSION
from podtask.kube.client import Api, connect

BIG, SMALL = "bench-big", "bench-small"
SIZES = (100, 1_000, 10_000, 100_000)
SUBMITTERS = 16
ETCD = "http://127.0.0.1:2379"
COPIES_AT_ONCE = 100
"""Below the 128 operations of a transaction of etcd."""
SMALL_EVERY = 2.0
"""Seconds between two TaskRuns of the small tenant."""
FIRST = 20
READY_SECONDS, END_SECONDS = 600, 7200
COMPONENTS = ("apiserver", "etcd", "scheduler", "controller-manager")


class Scene:
    """The two namespaces and the operators that serve them."""

    def __init__(self, api: Api, folder: Path, simulator: int) -> None:
        self.api = api
        self._folder = folder
        self._simulator = simulator
        self.operators: list[Operator] = []
        self.audits: dict[str, Audit] = {}

    def start(self, *served: Sequence[str]) -> None:
        """Empty namespaces, and an operator for each of these sets of them; returns once all are ready."""
        self.stop()
        for namespace in (BIG, SMALL):
            kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        for namespace in (BIG, SMALL):
            eventually("the namespace is gone", partial(gone, namespace), END_SECONDS, STEP)
            kubectl("create", "namespace", namespace)
            self.audits[namespace] = Audit(namespace)
        self.serve(*served)

    def serve(self, *served: Sequence[str]) -> float:
        """Start an operator for each set of namespaces; the seconds until all are ready."""
        began = time.monotonic()
        self.operators = [
            Operator(
                self._folder,
                *namespaces,
                PODTASK_LOG_LEVEL="WARNING",
                PODTASK_IDENTITY=f"bench-{number}",
            )
            for number, namespaces in enumerate(served)
        ]
        for operator in self.operators:
            eventually("the operator is ready", partial(is_ready, operator), READY_SECONDS, 0.1)
        return time.monotonic() - began

    def stop(self) -> None:
        """End the operators and the audits."""
        for operator in self.operators:
            operator.end()
        for audit in self.audits.values():
            audit.close()
        self.operators, self.audits = [], {}

    def ended(self) -> int:
        """TaskRuns that ended, as the operators count them: a list of 10,000 each second would be a load of its own."""
        return sum(metric(operator, "podtask_taskruns_ended_total") for operator in self.operators)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far: the operators, the control plane, kwok and this process."""
        pids = {f"operator {number + 1}": operator.pid for number, operator in enumerate(self.operators)}
        state = Path(os.environ["KUBECONFIG"]).parent / "run"
        pids |= {name: int((state / f"{name}.pid").read_text().split()[0]) for name in COMPONENTS}
        pids |= {"kwok": self._simulator, "bench": os.getpid()}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    def memory(self) -> str:
        """Now and at the most, in MB, of each operator."""
        return ", ".join("{:.0f} ({:.0f})".format(*resident(operator.pid)) for operator in self.operators)


def gone(namespace: str) -> bool:
    return not kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name").strip()


def is_ready(operator: Operator) -> bool:
    return operator.ready().get("ready") is True


def metric(operator: Operator, name: str) -> int:
    """The sum over all labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> tuple[float, float]:
    """MB: now, and the most so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, most = (int(lines[name].split()[0]) / MB for name in ("VmRSS", "VmHWM"))
    return resident, most


def stored_bytes() -> int:
    """What the API server says of the size of its etcd."""
    lines = kubectl("get", "--raw", "/metrics").splitlines()
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("apiserver_storage_size_bytes{")))


def copied(name: str, count: int) -> int:
    """Write copies of a TaskRun into etcd, past the API server, which would take 30 ms for each; the bytes of one.

    The API server hears of them by its watch of etcd, as of those that another API server writes.
    """
    prefix = f"/registry/{GROUP}/{PLURAL}/{BIG}/"
    stored = etcd("range", {"key": text64(prefix + name)})["kvs"][0]["value"]
    one = base64.b64decode(stored).decode()
    uid = json.loads(one)["metadata"]["uid"]
    for first in range(1, count, COPIES_AT_ONCE):
        numbers = range(first, min(first + COPIES_AT_ONCE, count))
        copies = {f"done-{n}": one.replace(name, f"done-{n}").replace(uid, str(uuid.uuid4())) for n in numbers}
        puts = [{"requestPut": {"key": text64(prefix + n), "value": text64(copy)}} for n, copy in copies.items()]
        etcd("txn", {"success": puts})
    return len(one)


def listed() -> bool:
    """Until it has read all that etcd told it, it answers every list by 504."""
    try:
        kubectl("get", "--raw", f"/apis/{GROUP}/{VERSION}/namespaces/{BIG}/{PLURAL}?limit=1")
    except Refused:
        return False
    return True


def etcd(verb: str, body: object) -> Any:
    """Its gateway for JSON, on loopback."""
    request = urllib.request.Request(f"{ETCD}/v3/kv/{verb}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def text64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def submit(api: Api, runs: Mapping[str, Sequence[Object]]) -> None:
    """As fast as it goes, the namespaces by turns."""
    turns = [(n, run) for some in zip(*runs.values(), strict=True) for n, run in zip(runs, some, strict=True)]
    with ThreadPoolExecutor(SUBMITTERS) as pool:
        for _ in pool.map(lambda turn: api.create_run(*turn), turns):
            pass


def shares(before: Mapping[str, float], after: Mapping[str, float], count: int) -> str:
    """CPU per TaskRun, in ms, the largest first."""
    used = Counter({name: 1000 * (after[name] - before[name]) / count for name in after})
    return ", ".join(f"{name} {ms:.1f}" for name, ms in used.most_common() if ms >= 0.1)


def loaded(scene: Scene, per_namespace: Mapping[str, int], label: str) -> list[object]:
    """Submit so many and wait for their ends: one row. A few before them make the clients of the bucket."""
    first = {n: [simulated(f"first-{k}") for k in range(FIRST)] for n in per_namespace}
    submit(scene.api, first)
    eventually("the first have ended", lambda: scene.ended() >= FIRST * len(first), END_SECONDS, 0.5)
    count, before = sum(per_namespace.values()), scene.ended()
    cpu, size, since, began = scene.cpu(), stored_bytes(), time.time(), time.monotonic()
    submit(scene.api, {n: [simulated(f"run-{k}") for k in range(number)] for n, number in per_namespace.items()})
    submitted = time.monotonic() - began
    eventually("all have ended", lambda: scene.ended() >= before + count, END_SECONDS, 0.5)
    seconds = time.monotonic() - began
    after, memory = scene.cpu(), scene.memory()
    time.sleep(2)  # the audit log is read twice a second
    launched = [late for n in per_namespace for late in scene.audits[n].launched(since)]
    writes = sum(scene.audits[n].counted(since).total() for n in per_namespace) / count
    latency = "/".join(percentiles(launched)[:2])
    grown = (stored_bytes() - size) / count / 1000
    rate, created = f"{count / seconds:.1f}", f"{count / submitted:.1f}"
    return [label, created, rate, latency, memory, f"{writes:.2f}", f"{grown:.1f}", shares(cpu, after, count)]


HEADER = [
    "TaskRuns", "created/s", "ended/s", "created -> pod ms p50/p99", "MB (most)", "writes each", "etcd KB each",
    "CPU ms each",
]  # fmt: skip


def sizes(scene: Scene, most: int) -> None:
    """One operator, one namespace, more and more TaskRuns at once."""
    rows = []
    for size in SIZES:
        if size <= most:
            scene.start([BIG])
            rows.append(loaded(scene, {BIG: size}, f"{size:,}"))
    show("Submitted as fast as it goes, one release", HEADER, rows)


def releases(scene: Scene, most: int) -> None:
    """The same work by one operator for both namespaces and by one for each."""
    half = min(most, 2_000) // 2
    rows = []
    for served, label in (([[BIG, SMALL]], "one release"), ([[BIG], [SMALL]], "two releases")):
        scene.start(*served)
        rows.append(loaded(scene, {BIG: half, SMALL: half}, f"{2 * half:,} by {label}"))
    show("Two namespaces", HEADER, rows)


def tenants(scene: Scene, most: int) -> None:
    """The queue latency of a small tenant, alone and while a big one submits as fast as it goes."""
    count = min(most, 10_000)
    scene.start([BIG, SMALL])
    rows = [[*little(scene, "alone", lambda: False, 30), "-"]]
    with ThreadPoolExecutor(1) as pool:
        runs = {BIG: [simulated(f"run-{n}") for n in range(count)]}
        submitting, before, began = pool.submit(submit, scene.api, runs), scene.ended(), time.monotonic()
        row = little(scene, "beside", lambda: scene.ended() < before + count)
        submitting.result()
    rows.append([*row, f"{count / (time.monotonic() - began):.1f}"])
    header = ["small tenant", "TaskRuns", "p50", "p99", "most", "the big one's ended/s"]
    show(f"Created -> POST of the pod, ms, while another tenant submits {count:,}", header, rows)


def little(scene: Scene, name: str, more: Callable[[], bool], least: int = 20) -> list[object]:
    """A TaskRun every two seconds, as long as there is more to wait for: its row."""
    since, number = time.time(), 0
    while number < least or more():
        scene.api.create_run(SMALL, simulated(f"{name}-{number}"))
        number += 1
        time.sleep(SMALL_EVERY)
    audit = scene.audits[SMALL]
    eventually("each has its pod", lambda: len(audit.launched(since)) >= number, END_SECONDS, STEP)
    return [name, number, *percentiles(audit.launched(since))]


def restart(scene: Scene, most: int) -> None:
    """A new process where that many TaskRuns are there and have ended."""
    scene.start()
    finish(scene.api, 0, BIG)
    size = copied("done-0", most)
    eventually("the API server has them all in its cache", listed, END_SECONDS, STEP)
    since, began = time.time(), time.monotonic()
    ready = scene.serve([BIG])
    scene.api.create_run(BIG, simulated("first"))
    eventually("a pod is created", lambda: scene.audits[BIG].launched(since) or None, END_SECONDS)
    first, cpu = time.monotonic() - began, cpu_seconds(scene.operators[0].pid)
    time.sleep(10)
    row = [f"{ready:.1f}", f"{first:.1f}", f"{cpu:.1f}", scene.memory(), f"{size / 1000:.1f}"]
    header = ["ready after s", "first new pod after s", "CPU s", "MB (most)", "KB of one in etcd"]
    show(f"Start with {most:,} finished TaskRuns", header, [row])


TABLES = {table.__name__: table for table in (sizes, releases, tenants, restart)}


@contextmanager
def prepared() -> Iterator[Scene]:
    """The simulated nodes, and nothing of the operator that Helm installed."""
    api = connect()
    with tempfile.TemporaryDirectory() as name, without_installed(), nodes(Path(name)) as simulator:
        scene = Scene(api, Path(name), simulator)
        try:
            yield scene
        finally:
            scene.stop()
            api.close()
            kubectl("delete", "namespace", BIG, SMALL, "--ignore-not-found", "--wait=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], help="all, where none is named")
    parser.add_argument("--most", type=int, default=10_000, help="TaskRuns at once (10,000)")
    asked = parser.parse_args()
    with prepared() as scene:
        for name in asked.tables or TABLES:
            TABLES[name](scene, asked.most)


if __name__ == "__main__":
    main()
