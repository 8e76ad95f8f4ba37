"""The `podtask` command on the real cluster: whole sessions, compared with committed transcripts.

The transcripts are what the documentation shows.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.kit import ROOT, World
from tests.cluster.transcript import Shell

pytestmark = pytest.mark.cluster

FLAKY = """\
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: flaky}
spec:
  task:
    source: |
      import sys
      def main(rows):
          print(f"looking at {rows} rows", file=sys.stderr)
          raise ValueError("row 7 has no price")
  parameters: {rows: 9}
  retries: 1
  retryDelaySeconds: [0.5]
"""
PIPELINE = """\
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: fetch}
spec:
  suspend: true
  task: {source: "def main(): return [1, 2, 3]"}
---
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: total}
spec:
  task: {source: "def main(rows): return sum(rows)"}
  upstream: [{taskRun: fetch, parameter: rows}]
"""
LONG = """\
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: long}
spec:
  task:
    source: |
      import time
      def main():
          while True:  # until somebody cancels it
              print("at work", flush=True)
              time.sleep(0.5)
"""


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Shell:
    """A person at a terminal."""
    (tmp_path / "hello.yaml").write_text((ROOT / "examples" / "hello.yaml").read_text())
    return Shell(tmp_path, world)


def test_a_first_look(shell: Shell) -> None:
    shell.run("podtask submit -f hello.yaml --wait")
    shell.run("podtask list")
    shell.run("podtask result hello")
    shell.told("hello", "Completed")
    shell.told("hello-1", "Started")
    shell.run("podtask describe hello")
    shell.run("podtask submit -f hello.yaml --name hello-again --wait")
    shell.run("podtask list -o wide")
    shell.run("podtask logs hello-again")
    shell.run("podtask list -o name --no-headers | head -1")
    shell.run("podtask delete hello hello-again")
    shell.compare("first-look")


def test_a_failure_and_what_to_do_about_it(shell: Shell) -> None:
    shell.file("flaky.yaml", FLAKY)
    shell.run("podtask submit -f flaky.yaml --wait", 10)
    shell.told("flaky", "Failed")
    shell.told("flaky-2", "Started")
    shell.run("podtask describe flaky")
    shell.run("podtask error flaky")
    shell.run("podtask logs flaky --all-attempts")
    shell.run("podtask result flaky", 10)
    shell.run("podtask retry flaky --wait", 10)
    shell.run("podtask list --state failed -o name")
    shell.run("podtask delete --all")
    shell.compare("failure")


def test_steering(shell: Shell) -> None:
    shell.file("pipeline.yaml", PIPELINE)
    shell.run("podtask submit -f pipeline.yaml")
    shell.world.in_state("total", "Pending", "WaitingForUpstream")
    shell.world.in_state("fetch", "Pending", "Suspended")
    shell.run("podtask list fetch -o wide")
    shell.run("podtask list total -o wide")
    shell.run("podtask wait total --timeout 1s", 4)
    shell.run("podtask resume fetch")
    shell.run("podtask wait total")
    shell.run("podtask result total")
    shell.file("long.yaml", LONG)
    shell.run("podtask submit -f long.yaml")
    shell.run("podtask logs -f long | head -1")
    shell.run("podtask suspend long")
    shell.run("podtask cancel long")
    shell.run("podtask wait long", 13)
    shell.run("podtask cancel long")
    shell.run("podtask delete --all")
    shell.compare("steering")


def test_mistakes(shell: Shell) -> None:
    shell.run("podtask lits", 2)
    shell.run("podtask describe nothing", 3)
    shell.run("podtask list --state sleeping", 2)
    shell.run("podtask list -n not-there")
    shell.run("kubectl podtask wait", 2)
    shell.compare("mistakes")
