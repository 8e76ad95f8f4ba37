"""Tries podtask on other people's parts: `make matrix`, or `python -m tests.matrix NAME...` for some of them.

python -m tests.matrix --list     the names
A name may be cut short: `"Kubernetes 1.3"` are all versions of Kubernetes. A cluster of dev/ must not be up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.matrix import document, tried
from tests.matrix.entries import ENTRIES, Entry

from podtask.core import clock

TOP = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """Exit code 0: everything that was asked for passed."""
    if "--list" in arguments:
        print("\n".join(f"{one.name}{'' if one.command else f'  ({one.why})'}" for one in ENTRIES))
        return 0
    chosen = [one for one in ENTRIES if one.command and (not arguments or any(map(one.name.startswith, arguments)))]
    if not chosen:
        print(f"no entry is called {' or '.join(arguments)}; --list shows their names", file=sys.stderr)
        return 2
    bad, tested = 0, commit()  # before the record of a run changes the checkout
    for entry in chosen:
        print(f"== {entry.name}: {' '.join(entry.command)}", flush=True)
        result = try_one(entry, tested)
        bad += bool(result.failed)
        if not result.began:
            print(f"== {entry.name}: no test ran, so nothing is recorded; the lines above say why")
            continue
        tried.write(entry.name, result)
        print(f"== {entry.name}: {result.passed} passed, {len(result.failed)} failed", *result.failed, sep="\n   ")
    document.write()
    print(document.table())
    return 1 if bad else 0


def try_one(entry: Entry, tested: str) -> tried.Tried:
    """Run its command, in which pytest writes a report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        environment = {**os.environ, **entry.environment, "PYTEST_ADDOPTS": f"--junitxml={report}"}
        tools = subprocess.run(
            ["dev/tools", "path"], cwd=TOP, env=environment, capture_output=True, text=True, check=True
        )
        environment["PATH"] = f"{tools.stdout.strip()}:{environment['PATH']}"
        done = subprocess.run(entry.command, cwd=TOP, env=environment, check=False)
        passed, failed = tried.counted(report, done.returncode)
    return tried.Tried(f"{clock.now():%Y-%m-%d}", tested, passed, failed)


def commit() -> str:
    """Of the checkout."""
    name = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=TOP, capture_output=True, text=True, check=True
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=TOP, capture_output=True, check=True
    )
    return name.stdout.strip() + "+" * bool(changed.stdout.strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
