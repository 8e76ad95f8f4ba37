"""What a project of 60 KB costs a map: size of a TaskRun, uploads, packing, and the import in the pod.

    python -m tests.bench.bench_travel [calls]

"By value" is what podtask did before modules travelled as files: everything that a function uses, in every pickle. No
cluster: the API server is a dict, the bucket lies in memory, the pod is a subprocess with the runner's own finder.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.tables import show, spread
from tests.support.travel import SDK
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, run_of

from podtask import Task
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.core import storage
from podtask.core.storage.memory import MemoryStore
from podtask.payloads.code import shipment
from podtask.settings import Settings
from podtask_runner.serialization.by_value import Packing, Travel
from podtask_runner.serialization.pickling import dumps

MODULES = 12
FUNCTIONS = 60
POD = """
import pathlib, sys, time
from podtask_runner.bundle import archive, finder
from podtask_runner.serialization import pickling
code, bundle, folder = sys.argv[1:]
start = time.perf_counter()
if bundle:
    data = pathlib.Path(bundle).read_bytes()
    finder.install(data, archive.read(data), pathlib.Path(folder), None, at_home=False)
fn = pickling.loads(pathlib.Path(code).read_bytes())
assert fn(1) == 1 + sum(range({modules}))
print(time.perf_counter() - start)
"""


def write(folder: Path) -> None:
    """A package whose modules use each other, about 5 KB each."""
    package = folder / "benched"
    package.mkdir()
    (package / "__init__.py").touch()
    for number in range(MODULES):
        after = number + 1 < MODULES
        head = f"from benched import m{number + 1}\n" if after else ""
        call = f" + m{number + 1}.go(x)" if after else " + x"
        body = "".join(
            f"def f{n}(x, y={n}):\n    '''Of module {number}.'''\n    return x * {n} + y - {n}\n"
            for n in range(FUNCTIONS)
        )
        uses = " + ".join(f"0 * f{n}(x)" for n in range(FUNCTIONS))
        (package / f"m{number}.py").write_text(f"{head}{body}def go(x):\n    return {number} + {uses}{call}\n")


def timed(call: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds per call."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - start))
    return found


def main(calls: int = 300) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder)
        sys.path.insert(0, place)
        work = importlib.import_module("benched.m0").go
        text = sum(path.stat().st_size for path in folder.rglob("*.py"))
        task = Task(work, name="go", exclude=["tests"])
        by_value = Packing(lambda name: Travel.VALUE if name.startswith("benched") else Travel.NAME)
        old = dumps(work, packing=by_value)
        first = timed(lambda: shipment(task, at_home=False), 1)
        sent = shipment(task, at_home=False)
        assert sent.bundle is not None
        show(
            f"Packing one call of a project of {text // 1024} KB, ms",
            ("", "bytes per call", "ms"),
            [
                ("by value (before)", len(old), spread(timed(lambda: dumps(work, packing=by_value), 20))),
                ("as files, first call", len(sent.code), spread(first)),
                ("as files, further calls", len(sent.code), spread(timed(lambda: shipment(task, at_home=False), 20))),
            ],
        )
        _pods(folder, old, sent.code, sent.bundle.data)
        _map(task, calls)


def _pods(folder: Path, old: bytes, code: bytes, bundle: bytes) -> None:
    rows = []
    for name, pickle, data in (("by value (before)", old, b""), ("as files", code, bundle)):
        (folder / "code").write_bytes(pickle)
        (folder / "bundle").write_bytes(data)
        seconds = []
        for round_ in range(10):
            args = [str(folder / "code"), str(folder / "bundle") if data else "", str(folder / f"{name[:2]}-{round_}")]
            command = [sys.executable, "-c", POD.replace("{modules}", str(MODULES)), *args]
            done = subprocess.run(command, env={"PYTHONPATH": SDK}, cwd="/", capture_output=True, text=True, check=True)
            seconds.append(1000 * float(done.stdout))
        rows.append((name, spread(seconds)))
    show("From bytes to a function in a fresh pod, ms (10 times)", ("", "ms"), rows)


def _map(task: Task[..., Any], calls: int) -> None:
    puts: list[str] = []
    store = MemoryStore(fault=lambda verb, key, when: puts.append(key) if (verb, when) == ("put", "after") else None)
    storage.open_store = lambda *_, **__: store  # type: ignore[assignment]
    cluster = FakeCluster()
    cluster.published["team"] = {"bucket": "data"}
    backend = KubernetesBackend(Settings(), api=cluster)  # type: ignore[arg-type]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    largest = 0
    for number in range(calls):
        backend.submit(run_of(task, number, backend=backend, number=str(number)))
        largest = max(largest, len(json.dumps(cluster.posted.pop())))
        cluster.runs.clear()
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    backend.close()
    show(
        f"A map of {calls} calls",
        ("largest TaskRun, bytes", "uploads", "ms per call", "memory grown, MB"),
        [(largest, len(puts), f"{1000 * seconds / calls:.2f}", grown)],
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
