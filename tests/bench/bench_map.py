"""What submitting costs a driver: a single `.submit()`, and `.map` over 1,000 and 10,000 elements, with 60 KB of code.

    python -m tests.bench.bench_map [elements ...]

No cluster: the API server is a dict and the bucket lies in memory, so that what is measured is the driver alone. Every
row is a fresh interpreter. The task is a function of the project that `bench_travel` writes: twelve modules with 732
functions. "With a key" adds `cache_key_fn=task_input_hash`. "Changed" sets a global that the code uses before every
call. Prints a table; asserts nothing about time. On two shared cores with load 8 (2026-11; a call took 400 to 650 ms
there before the walk was remembered, and 180 ms without other load):

                    calls  calls/s  ms per call  memory grown, MB  largest TaskRun, bytes  uploads
    map             10000  238      4.20         91.7              964                     1
    submit           1000  171      5.85         18.2              964                     1
    submit, changed  1000  6        168.50       20.0              1307                    1

Then whole maps of trivial calls, with and without `batch_size` (2026-12, two shared cores with load 8):

             calls  batch_size  seconds  ms per call
    local    10000              12.6     1.26
    local    10000  500         8.2      0.82
    process  100                79.1     791
    process  10000  500         19.9     1.99
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.bench_travel import write
from tests.bench.tables import show
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, result

from podtask import Task, backends, flow, task_input_hash
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.core import storage
from podtask.core.storage.memory import MemoryStore
from podtask.settings import Settings

BATCHES = (("local", 10_000, None), ("local", 10_000, 500), ("process", 100, None), ("process", 10_000, 500))
"""Backend, elements and `batch_size` of whole maps, from the call to the last value."""
KINDS = ("map", "map, with a key", "submit", "submit, changed")
ELEMENTS = (1, 1000, 10_000)
SINGLE = 200
"""Calls one by one."""
TIMEOUT = 1800


def measured(kind: str, count: int) -> dict[str, Any]:
    """One row, in this interpreter."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        sys.path.insert(0, place)
        os.environ["PODTASK_HOME"] = f"{place}/home"
        module = importlib.import_module("benched.m0")
        return _row(module, kind, count)


def _row(module: Any, kind: str, count: int) -> dict[str, Any]:
    puts: list[str] = []
    store = MemoryStore(fault=lambda verb, key, when: puts.append(key) if (verb, when) == ("put", "after") else None)
    storage.open_store = lambda *_, **__: store  # type: ignore[assignment]
    cluster = FakeCluster()
    cluster.published["team"] = {"bucket": "data"}
    backends.register("kubernetes", lambda _: KubernetesBackend(Settings(), api=cluster))  # type: ignore[arg-type]
    key = task_input_hash if kind.endswith("key") else None
    task: Task[..., Any] = Task(module.go, name="go", exclude=["tests"], cache_key_fn=key)
    row: dict[str, Any] = {}

    @flow(backend="kubernetes")
    def calling() -> None:
        before, started = _memory(), time.perf_counter()
        if kind.startswith("map"):
            futures = task.map(range(count))
        else:
            futures = []
            for number in range(count):
                if kind.endswith("changed"):
                    module.f0 = module.f1 if number % 2 else module.f2
                futures.append(task.submit(number))
        seconds = time.perf_counter() - started
        row.update(seconds=seconds, memory=_memory() - before, uploads=len(puts))
        row["bytes"] = max(len(json.dumps(body)) for body in cluster.posted)
        for body in cluster.posted:
            cluster.tell(body["metadata"]["name"], result("1"))
        for future in futures:
            future.wait()

    calling()
    return row


def in_batches(backend: str, count: int, size: int | None) -> float:
    """Seconds for a map of trivial calls, in this interpreter."""

    def add(x: int) -> int:
        return x + 1

    with tempfile.TemporaryDirectory() as home:
        os.environ["PODTASK_HOME"] = home
        task = Task(add)

        @flow(backend=backend)
        def mapping() -> float:
            started = time.perf_counter()
            futures = task.map(range(count), batch_size=size)
            assert sum(future.result() for future in futures) == count * (count + 1) // 2
            return time.perf_counter() - started

        return mapping()


def _memory() -> int:
    """KiB in use at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fresh(kind: str, count: int) -> tuple[object, ...]:
    """A row of the table, measured in an interpreter of its own."""
    command = [sys.executable, "-m", "tests.bench.bench_map", kind, str(count)]
    environment = {**os.environ, "PODTASK_PROGRESS": "off"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    if done.returncode:
        raise SystemExit(done.stderr)
    row = json.loads(done.stdout.splitlines()[-1])
    seconds, memory = row["seconds"], row["memory"]
    cells = f"{count / seconds:.0f}", f"{1000 * seconds / count:.2f}", f"{memory / 1024:.1f}"
    return kind, count, *cells, row["bytes"], row["uploads"]


def main(elements: tuple[int, ...] = ELEMENTS) -> None:
    header = ("", "calls", "calls/s", "ms per call", "memory grown, MB", "largest TaskRun, bytes", "uploads")
    rows = [fresh(kind, count) for kind in KINDS[:2] for count in elements]
    rows += [fresh(kind, min(SINGLE, max(elements))) for kind in KINDS[2:]]
    show("Submitting in the driver, a project of 60 KB and 732 functions", header, rows)
    whole = [(*how, in_batches(*how)) for how in BATCHES if how[1] <= max(elements)]
    cells = [
        (backend, count, size or "", f"{seconds:.1f}", f"{1000 * seconds / count:.2f}")
        for backend, count, size, seconds in whole
    ]
    show("Whole maps of trivial calls", ("", "calls", "batch_size", "seconds", "ms per call"), cells)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KINDS:
        print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
    else:
        main(tuple(map(int, sys.argv[1:])) or ELEMENTS)
