"""The operator under load, with simulated nodes (`kwok`): soak, latency, rest, retries, memory, restart.

The operator is a process of this machine with the installed one away; writes are counted in the API server's audit
log, so this needs `dev/cluster`. PODTASK_BENCH_SOAK_MINUTES is 20 where it is not set.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from tests.bench.audit import Audit
from tests.bench.kwok import FAILS_ONCE, STAYS, nodes, simulated
from tests.bench.tables import show
from tests.cluster.invariants import when
from tests.cluster.kit import Object, eventually, kubectl
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.api.names import GROUP, PLURAL, VERSION
from podtask.kube.client import MERGE_PATCH, Api, connect
from podtask.kube.errors import Asked
from podtask.kube.list_watch import ListWatch

NAMESPACE = "bench-scale"
RATE = 5.0
FAST = 50.0
FAST_COUNT = 1000
REST_SECONDS = 60
QUIET_SECONDS = 10
DELAY = 15.0
DELAYED = 500
LIVE = (500, 1500)
FINISHED = 10_000
TTL = 60
TICKS = os.sysconf("SC_CLK_TCK")
MB = 1024.0
STEP = 1.0
"""Seconds between two looks, where an answer is a list of thousands."""


class Bench:
    """The namespace, the operator, and what was seen of both."""

    def __init__(self, api: Api, audit: Audit, folder: Path) -> None:
        self.api = api
        self.audit = audit
        self._folder = folder
        self.operator = self.start()

    def start(self) -> Operator:
        """A new operator; returns once it is ready."""
        self.operator = Operator(self._folder, NAMESPACE, PODTASK_LOG_LEVEL="WARNING")
        eventually("the operator is ready", lambda: self.operator.ready().get("ready") is True, 300)
        return self.operator

    def cpu(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.operator.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Resident MB."""
        lines = Path(f"/proc/{self.operator.pid}/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / MB

    def create(self, runs: Sequence[Object], rate: float) -> None:
        """Create them at so many per second."""
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            for number, run in enumerate(runs):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                pool.submit(self.api.create_run, NAMESPACE, run)

    def runs(self) -> list[Object]:
        """All that are there."""
        return ListWatch(self.api, NAMESPACE).all()[0]

    def ended(self, name: str, count: int) -> list[Object]:
        """The runs whose names begin so, once that many have ended."""

        def enough() -> list[Object] | None:
            runs = [run for run in self.runs() if run["metadata"]["name"].startswith(name)]
            ended = [run for run in runs if has_ended(run)]
            return ended if len(ended) >= count else None

        return eventually("the runs are so far", enough, 900, STEP)

    def clear(self) -> None:
        """Delete every run; returns once they are gone."""
        kubectl("-n", NAMESPACE, "delete", "ptr", "--all", "--wait=false")
        eventually("every run is gone", lambda: not self.runs(), 900, STEP)


def has_ended(run: Object) -> bool:
    return bool(run.get("status", {}).get("finishedAt"))


def percentiles(seconds: Sequence[float]) -> list[str]:
    """p50, p99 and the most, in ms."""
    cut = statistics.quantiles(seconds, n=100, method="inclusive")  # never beyond the most that was measured
    return [f"{1000 * value:.0f}" for value in (cut[49], cut[98], max(seconds))]


def per_run(calls: Counter[str], count: int) -> str:
    return ", ".join(f"{what} {number / count:.2f}" for what, number in sorted(calls.items()))


def floor(calls: Counter[str]) -> int:
    """Writes that count: Events and deletions apart (quality.md)."""
    return sum(n for what, n in calls.items() if "events" not in what and "delete" not in what)


def soak(bench: Bench) -> None:
    minutes = float(os.environ.get("PODTASK_BENCH_SOAK_MINUTES", "20"))
    count = int(minutes * 60 * RATE)
    samples: list[tuple[float, float]] = []
    since, cpu = time.time(), bench.cpu()
    with ThreadPoolExecutor(1) as pool:
        made = [simulated(f"soak-{n}", ttlSecondsAfterFinished=TTL) for n in range(count)]
        creating = pool.submit(bench.create, made, RATE)
        while not creating.done():
            samples.append((time.time() - since, bench.memory()))
            time.sleep(2)
        creating.result()
    eventually(
        "every run has ended", lambda: all(run.get("status", {}).get("finishedAt") for run in bench.runs()), 300, STEP
    )
    calls, used = bench.audit.counted(since), bench.cpu() - cpu
    warm = [sample for sample in samples if sample[0] > max(2.0 * TTL, samples[-1][0] / 3)] or samples
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope * 3600
    rows = [
        ["TaskRuns", count],
        ["operator writes per TaskRun", f"{floor(calls) / count:.2f}"],
        ["all its writes per TaskRun", per_run(calls, count)],
        ["operator CPU per TaskRun, ms", f"{1000 * used / count:.1f}"],
        ["memory MB: start, first third, end", f"{samples[0][1]:.0f}, {warm[0][1]:.0f}, {warm[-1][1]:.0f}"],
        ["memory slope after the first third, MB per hour", f"{slope:.1f}"],
        ["created -> pod POST, ms: p50, p99, most", ", ".join(percentiles(bench.audit.launched(since)))],
    ]
    show(f"Soak: {minutes:g} minutes at {RATE:g} TaskRuns/s, deleted {TTL} s after their end", ["", ""], rows)
    bench.clear()


def fast(bench: Bench) -> None:
    since, cpu = time.time(), bench.cpu()
    bench.create([simulated(f"fast-{n}") for n in range(FAST_COUNT)], FAST)
    bench.ended("fast-", FAST_COUNT)
    calls, used = bench.audit.counted(since), bench.cpu() - cpu
    created = sorted(
        call.received for call in bench.audit.calls if call.agent == "podtask-sdk" and call.received > since
    )
    rate = (len(created) - 1) / (created[-1] - created[0])
    row = [f"{rate:.0f}/s", *percentiles(bench.audit.launched(since)), f"{1000 * used / FAST_COUNT:.1f}"]
    header = ["created at", "p50", "p99", "most", "CPU ms per TaskRun", "writes"]
    show(f"Created -> POST of the pod, ms, {FAST_COUNT} TaskRuns", header, [[*row, f"{floor(calls) / FAST_COUNT:.2f}"]])


def rest(bench: Bench) -> None:
    """The finished runs of `fast` are still there. First the Events of the load before are waited for."""
    eventually("nothing is written", lambda: not bench.audit.counted(time.time() - QUIET_SECONDS), 900, STEP)
    since, cpu = time.time(), bench.cpu()
    time.sleep(REST_SECONDS)
    calls = bench.audit.counted(since)
    cpu = 100 * (bench.cpu() - cpu) / REST_SECONDS
    row = [f"{calls.total() / REST_SECONDS:.3f}", per_run(calls, REST_SECONDS) or "-", f"{cpu:.1f}"]
    title = f"At rest for {REST_SECONDS} s with {FAST_COUNT} finished TaskRuns"
    show(title, ["writes/s beyond the Lease", "which", "CPU %"], [row])
    bench.clear()


def retries(bench: Bench) -> None:
    delayed = [simulated(f"late-{n}", FAILS_ONCE, retries=1, retryDelaySeconds=[DELAY]) for n in range(DELAYED)]
    since = time.time()
    bench.create(delayed, FAST)
    ended = bench.ended("late-", DELAYED)
    late = []
    for run in ended:
        first, second = run["status"]["attempts"]
        late.append((when(second["recordedAt"]) - when(first["finishedAt"])).total_seconds() - DELAY)
    writes = floor(bench.audit.counted(since)) / DELAYED
    row = [*percentiles(late), f"{1000 * min(late):.1f}", f"{writes:.2f}"]
    title = f"Retry lateness, ms: {DELAYED} concurrent delays of {DELAY:g} s"
    show(title, ["p50", "p99", "most", "least", "writes per TaskRun"], [row])
    bench.clear()


def live(bench: Bench) -> None:
    """In a new process, so that nothing that others left is counted."""
    bench.operator.stop()
    bench.start()
    found = [bench.memory()]
    for first, last in zip((0, *LIVE), LIVE, strict=False):
        bench.create([simulated(f"live-{n}", STAYS) for n in range(first, last)], FAST)
        eventually(f"{last} run", lambda last=last: sum(is_running(run) for run in bench.runs()) == last, 600, STEP)
        found.append(bench.memory())
    per_thousand = (found[-1] - found[-2]) * 1000 / (LIVE[-1] - LIVE[-2])
    header = ["idle", *(f"with {count}" for count in LIVE), "per 1,000 more"]
    show("Memory with running TaskRuns, MB", header, [[*(f"{mb:.0f}" for mb in found), f"{per_thousand:.1f}"]])
    bench.clear()


def is_running(run: Object) -> bool:
    return bool(run.get("status", {}).get("state") == "Running")


def restart(bench: Bench) -> None:
    bench.operator.stop()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: finish(bench.api, n), range(FINISHED)))
    since, began = time.time(), time.monotonic()
    bench.start()
    ready = time.monotonic() - began
    bench.create([simulated("first")], 1)
    eventually("a pod is created", lambda: bench.audit.launched(since) or None, 60)
    first, cpu = time.monotonic() - began, bench.cpu()
    row = [f"{ready:.1f}", f"{first:.1f}", f"{cpu:.1f}", f"{bench.memory():.0f}"]
    header = ["ready after s", "first new pod after s", "CPU s", "MB"]
    show(f"Start with {FINISHED} finished TaskRuns", header, [row])


def finish(api: Api, number: int, namespace: str = NAMESPACE) -> None:
    """A TaskRun with an end that nobody worked for."""
    name, now = f"done-{number}", datetime.fromtimestamp(time.time(), timezone.utc).isoformat()
    api.create_run(namespace, simulated(name))
    attempt = {"number": 1, "podName": f"{name}-1", "cause": "First", "outcome": "Completed", "reason": "Completed"}
    attempt |= {"recordedAt": now, "finishedAt": now}
    result = {"digest": "0" * 64, "size": 1, "serializer": "json", "value": "1", "attempt": 1}
    status = {"state": "Completed", "reason": "Completed", "attempts": [attempt], "attemptsTotal": 1}
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}/status"
    body = {"status": {**status, "startedAt": now, "finishedAt": now, "result": result}}
    api.ask(Asked("patch", PLURAL, namespace, name), "PATCH", path, body=body, content=MERGE_PATCH)


@contextmanager
def prepared() -> Iterator[Bench]:
    """Everything that the tables need."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", NAMESPACE)
    audit, api = Audit(NAMESPACE), connect()
    with tempfile.TemporaryDirectory() as name, without_installed(), nodes(Path(name)):
        bench = Bench(api, audit, Path(name))
        try:
            yield bench
        finally:
            bench.operator.end()
            audit.close()
            api.close()
            kubectl("delete", "namespace", NAMESPACE, "--wait=false")


TABLES = {table.__name__: table for table in (soak, fast, rest, retries, live, restart)}


def main() -> None:
    chosen = sys.argv[1:] or list(TABLES)
    with prepared() as bench:
        for name in chosen:
            TABLES[name](bench)


if __name__ == "__main__":
    main()
