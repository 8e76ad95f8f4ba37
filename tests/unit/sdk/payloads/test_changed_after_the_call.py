"""A class that changes between a call and the run: what runs is never stored under the key of the other class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.travel import SDK, written

SCRIPT = """
import json, os, time
from podtask import flow, task, task_input_hash

class Row:
    rate = 1
    def value(self): return type(self).rate

def rate(): return Row.rate

@task
def wait_for_file(name):
    while not os.path.exists(name):
        time.sleep(0.02)

@task(cache_key_fn=task_input_hash)
def value(row, _): return row() if callable(row) else row.value()

@flow
def main():
    found = []
    for given in (Row(), rate):
        Row.rate = 1
        late = value(given, wait_for_file(f"go-{len(found)}"))
        Row.rate = 2
        open(f"go-{len(found)}", "w").close()
        found.append([late.result()])
        again = value(given, wait_for_file(f"go-{len(found) - 1}"))
        found[-1] += [again.result(), again.get_state().name]
    return found

print(json.dumps(main()))
"""


@pytest.mark.parametrize(("backend", "first"), [("local", 2), ("process", 1)])
def test_the_value_of_the_call_is_not_kept_for_another(tmp_path: Path, backend: str, first: int) -> None:
    """On `local` the task runs in the script, with what the script has by then."""
    written(tmp_path, {"flow.py": SCRIPT})
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": SDK,
        "PODTASK_BACKEND": backend,
        "PODTASK_HOME": str(tmp_path / "home"),
        "PODTASK_PROGRESS": "off",
    }
    done = subprocess.run(
        [sys.executable, "flow.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout.splitlines()[-1])
    assert len(calls) == 2
    for late, again, state in calls:
        assert late == first
        assert again == 2
        assert state == ("Cached" if backend == "local" else "Completed")
