"""What the SDK costs per task on the backends of this machine, beside Prefect 3 in an environment of its own.

    python -m tests.bench.bench_sdk

Every product and backend runs in fresh interpreters, with a temporary home; asserts nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.tables import show, spread

WORKLOAD = str(Path(__file__).with_name("sdk_workload.py"))
BUILD_PREFECT = str(Path(__file__).parents[2] / "dev" / "prefect-3")
ROUNDS, TASKS, PROCESS_TASKS = 5, 200, 20
PREFECT_SETTINGS = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
BUDGETS = {"import": "150", "call": "2", "submit": "2", "all": "2"}
WHAT = {
    "import": "import",
    "call": f"a call and its result, {TASKS} one by one, each",
    "submit": f"a submission, {TASKS} at once, each",
    "all": f"a task until all {TASKS} are finished, each",
}


def measured(python: str, product: str, count: int, settings: Mapping[str, str]) -> dict[str, Any]:
    """One round in a fresh interpreter; in milliseconds. Raises `CalledProcessError`."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **settings, "PODTASK_HOME": home, "PREFECT_HOME": home}
        command = [python, WORKLOAD, product, str(count)]
        done = subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])


def rounds(python: str, product: str, count: int, settings: Mapping[str, str]) -> dict[str, list[float]]:
    """All rounds, by what was measured."""
    found: dict[str, list[float]] = {name: [] for name in WHAT}
    for _ in range(ROUNDS):
        for name, value in measured(python, product, count, settings).items():
            found[name] += value if isinstance(value, list) else [value]
    return found


def prefect() -> tuple[dict[str, list[float]] | None, str]:
    """The same of Prefect 3, or None, and why not."""
    built = subprocess.run([BUILD_PREFECT], capture_output=True, text=True, check=False)
    if built.returncode:
        return None, f"Prefect 3 was not measured, its environment could not be built: {_last_line(built.stderr)}"
    python = built.stdout.strip()
    try:
        version = subprocess.run([python, "-c", "import prefect; print(prefect.__version__)"], capture_output=True,
                                 text=True, check=True).stdout.strip()  # fmt: skip
        return rounds(python, "prefect", TASKS, PREFECT_SETTINGS), f"Prefect {version}, its server started by the flow"
    except subprocess.CalledProcessError as error:
        return None, f"Prefect 3 was not measured, it does not run here: {_last_line(error.stderr)}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it did not say why"


def main() -> None:
    local = rounds(sys.executable, "podtask", TASKS, {"PODTASK_BACKEND": "local"})
    process = rounds(sys.executable, "podtask", PROCESS_TASKS, {"PODTASK_BACKEND": "process"})
    peer, note = prefect()
    rows = [
        (text, spread(local[name]), BUDGETS[name], spread(peer[name]) if peer else "-") for name, text in WHAT.items()
    ]
    rows += [
        (
            f"process backend: a call and its result, {PROCESS_TASKS} one by one, each",
            spread(process["call"]),
            "150",
            "-",
        ),
        (f"process backend: until all {PROCESS_TASKS} are finished, each", spread(process["all"]), "150", "-"),
    ]
    version = sys.version.split()[0]
    title = f"SDK, milliseconds: median (least - most) of {ROUNDS} rounds, Python {version}, {os.cpu_count()} CPUs"
    show(title, ("local backend", "podtask", "budget", "Prefect 3"), rows)
    print(f"  {note}")


if __name__ == "__main__":
    main()
