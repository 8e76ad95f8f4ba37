"""How long a pod needs from process start to user code (budget: 150 ms beyond the interpreter), and to its end.

    PYTHONPATH=runner-image python tests/bench/bench_runner.py

Prints a table of medians in milliseconds with the spread (5th to 95th percentile); asserts nothing.
"""

from __future__ import annotations

import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from podtask_runner import protocol
from podtask_runner.serialization import pickling
from podtask_runner.storage.spool import digest

ROUNDS = 40
RUNNER = str(Path(protocol.__file__).parent.parent)
SAYS_WHEN = "import time\ndef main():\n    return time.time()"


def now() -> float:
    import time

    return time.time()


def interpreter() -> tuple[float, float]:
    started = time.time()
    done = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, check=True)
    return float(done.stdout) - started, time.time() - started


def attempt(code: protocol.Code, inputs: protocol.Blob | None = None, *, logs: bool = False) -> tuple[float, float]:
    """Seconds until user code ran, and until the supervisor ended."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        slots = {}
        for name in ("result", "error", "outcome"):
            url = f"file://{root / name}"
            slots[name] = protocol.Slot(protocol.Put(url), url)
        post = protocol.LogPost(f"file://{root}", "log/", 1 << 20) if logs else None
        grants = protocol.Grants("ns", "run", "uid", 1, code, **slots, inputs=inputs, logs=post)
        (root / "grants").write_bytes(protocol.dump(grants))
        environment = {
            **os.environ,
            "PYTHONPATH": RUNNER,
            "PODTASK_GRANTS": str(root / "grants"),
            "PODTASK_TERMINATION_LOG": str(root / "end"),
        }
        started = time.time()
        subprocess.run([sys.executable, "-X", "utf8", "-m", "podtask_runner"], env=environment, check=True)
        ended = time.time()
        return float((root / "result").read_bytes()) - started, ended - started


def inline(data: bytes) -> protocol.Blob:
    return protocol.Blob(digest(data), len(data), inline=base64.b64encode(data).decode())


def main() -> None:
    code = protocol.Code(shipped=inline(pickling.dumps(now)))
    arguments = inline(pickling.dumps(((), {})))
    cases = {
        "interpreter alone": interpreter,
        "source, JSON result": lambda: attempt(protocol.Code(source=SAYS_WHEN)),
        "shipped function": lambda: attempt(code, arguments),
        "source, logs kept": lambda: attempt(protocol.Code(source=SAYS_WHEN), logs=True),
    }
    print(f"Python {sys.version.split()[0]}, {ROUNDS} rounds, milliseconds: median (5th - 95th percentile)")
    print(f"{'':24}{'to user code':>24}{'to the end':>24}")
    for name, run in cases.items():
        run()
        columns = zip(*(run() for _ in range(ROUNDS)), strict=True)
        cells = []
        for column in columns:
            cuts = statistics.quantiles([1000 * value for value in column], n=20, method="inclusive")
            cells.append(f"{cuts[9]:.0f} ({cuts[0]:.0f} - {cuts[-1]:.0f})")
        print(f"{name:24}{cells[0]:>24}{cells[1]:>24}")


if __name__ == "__main__":
    main()
