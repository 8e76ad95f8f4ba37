"""`podtask watch`: lines where output is piped, counts where there are many, a table in a terminal."""

from __future__ import annotations

import re

import pytest
from tests.unit.sdk.cli.conftest import NOW, Terminal
from tests.unit.sdk.cli.runs import run

from podtask.cli.common import output
from podtask.cli.common.live_runs import FEW, HEAD, counts, row
from podtask.inspection.task_run import SeenTaskRun

LABELS = {"podtask.dev/flow-run": "etl-1"}


def test_a_line_for_each_change_until_all_have_ended(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Pending", labels=LABELS), run("b", "Completed", labels=LABELS))
    podtask.cluster.news = [
        ("MODIFIED", run("a", "Running", labels=LABELS)),
        ("MODIFIED", run("a", "Running", labels=LABELS)),
        ("ADDED", run("c", "Running", labels=LABELS)),
        ("MODIFIED", run("a", "Failed", labels=LABELS)),
        ("MODIFIED", run("c", "Completed", labels=LABELS)),
    ]
    said = podtask("watch --flow-run etl-1")
    lines = ["a Pending: It is suspended.", "b Completed", "a Running", "c Running", "a Failed: ValueError: no luck"]
    assert said.out.splitlines() == [*lines, "c Completed"]
    assert (said.status, said.err) == (10, "")


def test_a_named_run_is_watched_alone(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Running"))
    podtask.cluster.news = [("ADDED", run("z", "Failed")), ("MODIFIED", run("a", "Completed"))]
    said = podtask("watch a")
    assert (said.status, said.out) == (0, "a Running\na Completed\n")


def test_a_run_that_is_deleted_ends_it(podtask: Terminal) -> None:
    podtask.cluster.add(run("a", "Running"))
    podtask.cluster.news = [("DELETED", run("a", "Running"))]
    said = podtask("watch a")
    assert (said.status, said.err) == (3, "podtask: TaskRun 'a' was deleted before it ended.\n")


def test_many_runs_are_counted_by_task(podtask: Terminal) -> None:
    spec = {"task": {"name": "greet", "source": "x"}}
    podtask.cluster.add(*(run(f"r{number:03}", "Completed", labels=LABELS, spec=spec) for number in range(FEW)))
    podtask.cluster.add(run("last", "Running", labels=LABELS))
    podtask.cluster.news = [("MODIFIED", run("last", "TimedOut", labels=LABELS))]
    said = podtask("watch --flow-run etl-1")
    assert said.out.splitlines() == [
        "last: 0 of 1 done, 1 Running",
        "greet: 50 of 50 done, 50 Completed",
        "last: 1 of 1 done, 1 TimedOut",
    ]
    assert said.status == 12


def test_counts_name_states_in_the_order_of_a_life() -> None:
    words = ("Completed", "Running", None, "Failed", "Running")
    runs = [SeenTaskRun(run("x", word, spec={"task": {"name": "t", "source": "x"}})) for word in words]
    assert counts(runs) == [("t", "5", "2", "1 Pending, 2 Running, 1 Completed, 1 Failed")]


def test_a_row_tells_how_long_and_why() -> None:
    rows = [
        row(SeenTaskRun(run("a", "Failed")), NOW),
        row(SeenTaskRun(run("b", "Running")), NOW),
        row(SeenTaskRun(run("c", None)), NOW),
    ]
    assert output.table(HEAD, rows) == (
        "NAME   TASK   STATE     ATTEMPT   RAN     MESSAGE\n"
        "a      a      Failed    1/1       59s     ValueError: no luck\n"
        "b      b      Running   1/1       9m59s\n"
        "c      c      Pending"
    )


def test_submit_can_watch(podtask: Terminal) -> None:
    manifest = "apiVersion: podtask.dev/v1alpha1\nkind: TaskRun\nmetadata: {name: hello}\nspec: {task: {source: x}}\n"
    podtask.cluster.news = [("MODIFIED", run("hello", "Completed"))]
    said = podtask(f"submit -f {podtask.file('hello.yaml', manifest)} --watch")
    assert (said.status, said.out) == (0, "taskrun.podtask.dev/hello created\nhello Pending\nhello Completed\n")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_in_a_terminal_it_is_a_table_with_colours_unless_somebody_objects(podtask: Terminal, no_color: str) -> None:
    import os
    import pty
    import subprocess
    import sys

    podtask.cluster.add(run("a", "Running"))
    podtask.cluster.news = [("MODIFIED", run("a", "Completed"))]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "podtask.cli", "watch", "a"]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while chunk := os.read(ours, 65536):
                said += chunk
        except OSError:  # EIO: the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0, said
    text = said.decode()
    assert ("\x1b[32mCompleted" in text) is (no_color == "")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"NAME +TASK +STATE +ATTEMPT +RAN +MESSAGE", plain)
    assert re.search(r"a +a +Completed +1/1", plain)
