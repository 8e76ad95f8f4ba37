"""Flow runs of this machine: one small file each, bounded, and what `--local` shows of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.cli.conftest import Terminal, podtask  # noqa: F401 - a fixture

from podtask import flow, task
from podtask.backends.in_process import flow_records, task_records
from podtask.backends.in_process.flow_records import FOLDER, read_all
from podtask.backends.local import LocalBackend


@task
def double(x: int) -> int:
    return 2 * x


@task
def broken(x: int) -> int:
    raise ValueError(f"no luck with {x}")


@flow(name="etl")
def etl(x: int, password: str = "hunter2") -> int:
    return double(double(x)).result()


@flow(name="outer")
def outer() -> int:
    return etl(3)


@pytest.fixture
def home(tmp_path: Path, local: LocalBackend) -> Path:
    return tmp_path / "home"


def recorded(home: Path) -> dict[str, Any]:
    """By flow name."""
    return {obj["spec"]["flow"]: obj for obj in read_all(home)}


def test_a_flow_run_is_a_file_with_its_task_runs(home: Path) -> None:
    etl(1)
    one = recorded(home)["etl"]
    assert (one["status"]["state"], one["status"]["result"], one["status"]["counts"]) == (
        "Completed",
        "4",
        {"Completed": 2},
    )
    first, second = one["taskRuns"]
    assert second["spec"]["upstream"] == [{"taskRun": first["metadata"]["name"]}]
    assert first["status"]["state"] == "Completed"
    assert "hunter2" not in json.dumps(one)
    (file,) = (home / FOLDER).iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_a_subflow_is_inside_of_its_parent(home: Path) -> None:
    outer()
    made = recorded(home)
    name = made["outer"]["metadata"]["name"]
    assert made["etl"]["spec"]["parent"]["name"] == name
    assert made["etl"]["metadata"]["labels"] == {"podtask.dev/root-flow-run": name}


def test_the_oldest_go_when_there_are_too_many(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_records, "KEPT", 3)
    monkeypatch.setattr(flow_records, "SLACK", 1)
    for number in range(6):
        etl(number)
    kept = sorted(int(json.loads(obj["spec"]["parameters"][0]["value"])) for obj in read_all(home))
    assert kept == [2, 3, 4, 5]


def test_many_task_runs_are_cut(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_records, "RUNS_KEPT", 1)
    etl(1)
    one = recorded(home)["etl"]
    assert (len(one["taskRuns"]), one["status"]["tasks"]) == (1, "2/2")


def test_a_folder_that_cannot_be_written_fails_no_flow(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.mkdir()
    (home / FOLDER).write_text("in the way")
    assert etl(1) == 4
    assert "is not recorded; it runs all the same" in caplog.text


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"metadata": {"name": "x"}}', '{"metadata": [], "spec": 1}'])
def test_a_file_that_is_no_record_is_left_out(home: Path, text: str) -> None:
    etl(1)
    (home / FOLDER / "bad.json").write_text(text)
    assert len(read_all(home)) == 1


def test_a_process_that_was_killed_has_crashed(home: Path) -> None:
    code = "import os\nfrom podtask import flow\n@flow(name='gone')\ndef gone():\n    os._exit(9)\ngone()\n"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    status = recorded(home)["gone"]["status"]
    assert (status["state"], status["message"]) == ("Crashed", "The process ended without a word.")


def test_the_command_shows_them(home: Path, podtask: Terminal) -> None:  # noqa: F811
    @flow(name="bad")
    def bad() -> None:
        broken(double(1))

    bad(return_state=True)
    outer()
    listed = podtask("flows --local").out.splitlines()
    assert {line.split()[1] for line in listed[1:]} == {"bad", "outer"}
    name = next(line.split()[0] for line in listed if line.split()[1] == "bad")
    said = podtask(f"describe flow/{name} --local")
    assert said.status == 0
    assert "Flow:          bad (bad-" in said.out
    assert "Task runs:     2: 1 Completed, 1 Failed" in said.out
    assert "Failed first:  broken-" in said.out
    assert "no luck with 2" in said.out
    assert "Longest chain:" in said.out
    drawn = podtask(f"describe flow/{name} --local -o svg")
    assert drawn.out.startswith("<svg xmlns=")
    assert "Attempt 1 (First): Failed (Exception)" in drawn.out
    assert podtask.cluster.asked == []


def test_nothing_is_recorded_here(tmp_path: Path, podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "empty"))
    said = podtask("flows --local")
    assert (said.status, said.err) == (0, "No flow runs found on this machine.\n")
    said = podtask("describe --local flow/x")
    assert (said.status, "There is no flow run 'x' in this machine's records" in said.err) == (3, True)
