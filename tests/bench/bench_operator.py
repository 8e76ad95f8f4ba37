"""What the operator computes per TaskRun: its CPU time, on the real API server, many small runs at once.

The operator is a process of this machine with a namespace of its own; the one that Helm installed (if any) does not run
meanwhile. With PODTASK_BENCH_BESIDE=<another checkout> its operator is measured in turns with this one, because CPU
time depends on what else the machine does. Its process id is printed, for a profiler that samples it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.tables import show, spread
from tests.cluster.kit import ROOT, Object, World, namespace, task_run
from tests.cluster.operator_process import SOURCES, Operator, without_installed

ROUNDS, AT_ONCE, REST_SECONDS = 3, 40, 20
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
ONCE = "def main():\n    return 1\n"

CASES: dict[str, Callable[[str], Object]] = {
    "uncached": lambda name: task_run(name, ONCE),
    "cached": lambda name: task_run(name, ONCE, cache={"key": "bench"}),
}


class Candidate:
    """One checkout's operator, and what it took."""

    def __init__(self, name: str, checkout: Path, stack: ExitStack) -> None:
        self.name = name
        self.world: World = stack.enter_context(namespace(f"bench-{name}"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sources = os.pathsep.join(str(checkout / source) for source in SOURCES)
        self._operator = Operator(folder, self.world.namespace, PYTHONPATH=sources)
        stack.callback(self._operator.end)
        print(f"the operator of {name} is process {self._operator.pid}", flush=True)
        self.taken: dict[str, list[float]] = {case: [] for case in CASES}
        self.world.apply(task_run("warm", ONCE, cache={"key": "bench"}))
        self.world.finished("warm")

    def cpu(self) -> float:
        """CPU seconds of the process, all threads."""
        fields = Path(f"/proc/{self._operator.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def measure(self, case: str, turn: int) -> None:
        """CPU milliseconds per TaskRun of one round."""
        names = [f"{case}-{turn}-{n}" for n in range(AT_ONCE)]
        began = self.cpu()
        self.world.apply(*map(CASES[case], names))
        for name in names:
            self.world.finished(name, 300)
        self.taken[case].append(1000 * (self.cpu() - began) / AT_ONCE)


def main() -> None:
    beside = os.environ.get("PODTASK_BENCH_BESIDE")
    with ExitStack() as stack:
        stack.enter_context(without_installed())
        candidates = [Candidate("this", ROOT, stack)]
        if beside:
            candidates.append(Candidate("other", Path(beside), stack))
        for turn in range(ROUNDS):
            for case in CASES:
                for candidate in candidates:
                    candidate.measure(case, turn)
        before, began = [candidate.cpu() for candidate in candidates], time.monotonic()
        time.sleep(REST_SECONDS)
        seconds = time.monotonic() - began
        rest = [1000 * (candidate.cpu() - cpu) / seconds for candidate, cpu in zip(candidates, before, strict=True)]
    rows = [
        [case, *(spread(candidate.taken[case]) for candidate in candidates), _ratio(candidates, case)] for case in CASES
    ]
    show(
        f"CPU of the operator's process in ms per TaskRun, {AT_ONCE} at once: median of {ROUNDS} rounds (least - most)",
        ["", *(candidate.name for candidate in candidates), "ratio"],
        [*rows, ["at rest, ms per second", *(f"{each:.1f}" for each in rest), ""]],
    )


def _ratio(candidates: list[Candidate], case: str) -> str:
    if len(candidates) < 2:
        return ""
    this, other = (statistics.median(candidate.taken[case]) for candidate in candidates)
    return f"{this / other:.2f}"


if __name__ == "__main__":
    main()
