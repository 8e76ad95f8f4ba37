"""Flow runs of this machine: one small file each, bounded, and what `--local` shows of them."""

from __future__ import annotations

import json
import re
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


def test_a_folder_that_cannot_be_written_fails_no_flow_and_is_one_sentence(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback of thirty lines for each flow run."""
    monkeypatch.setattr(flow_records, "_said", False)
    home.mkdir()
    (home / FOLDER).write_text("in the way")
    assert (etl(1), etl(2)) == (4, 8)
    (said,) = caplog.records
    assert said.getMessage() == (
        "Flow runs of this process are not recorded, and run all the same: "
        f"'{home / FOLDER}': File exists. For 'podtask flows --local' set PODTASK_HOME to a folder that can be written."
    )
    assert said.exc_info is None


def test_an_end_that_cannot_be_written_fails_no_flow(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_records, "_said", False)

    @flow
    def in_the_way() -> int:
        for file in (home / FOLDER).iterdir():
            file.unlink()
        (home / FOLDER).rmdir()
        (home / FOLDER).write_text("in the way")
        return 1

    assert in_the_way() == 1
    (said,) = caplog.records
    assert (said.exc_info, "are not recorded" in said.getMessage()) == (None, True)


class Odd(Exception):
    """One that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        (RuntimeError("before the first call"), " RuntimeError: before the first call"),
        (KeyError("price"), " KeyError: 'price'"),
        (ValueError(), " ValueError"),
        (Odd(), " Odd"),
        (OSError("no way to postgres://me:hunter2@db/x"), " OSError: no way to postgres://me:(hidden)@db/x"),
    ],
)
def test_a_flow_that_fails_by_itself_says_by_which_exception(home: Path, raised: Exception, shown: str) -> None:
    """There is no task run that would have it, and the state of Prefect says only that there was one."""

    @flow(name="early")
    def early() -> None:
        raise raised

    state = early(return_state=True)
    assert state.message == "Flow run encountered an exception."
    assert recorded(home)["early"]["status"]["message"] == f"Flow run encountered an exception.{shown}"


def test_texts_with_values_stay_out_of_the_record_where_values_do(home: Path) -> None:
    @flow(name="quiet", record_parameters=False)
    def quiet() -> None:
        raise ValueError("hunter2")

    quiet(return_state=True)
    etl("hunter2", return_state=True)  # type: ignore[arg-type]
    assert recorded(home)["quiet"]["status"]["message"] == "Flow run encountered an exception. ValueError"
    assert recorded(home)["etl"]["status"]["message"] == "Flow run received invalid parameters."


def test_a_long_exception_is_cut(home: Path) -> None:
    @flow(name="long")
    def long() -> None:
        raise ValueError("x" * 1_000_000)

    long(return_state=True)
    assert len(recorded(home)["long"]["status"]["message"]) == 1024


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"metadata": {"name": "x"}}', '{"metadata": [], "spec": 1}'])
def test_a_file_that_is_no_record_is_left_out(home: Path, text: str) -> None:
    etl(1)
    (home / FOLDER / "bad.json").write_text(text)
    assert len(read_all(home)) == 1


def test_files_that_are_no_records_are_named(home: Path, podtask: Terminal) -> None:  # noqa: F811
    etl(1)
    for name in ("a", "b", "c", "d"):
        (home / FOLDER / f"{name}.json").write_text("garbage")
    said = podtask("flows --local")
    assert (said.status, len(said.out.splitlines())) == (0, 2)
    assert said.err == (
        f"podtask: 4 files of {home / FOLDER} cannot be read as flow runs and may be removed: "
        "a.json, b.json, c.json, …\n"
    )


def test_what_a_flow_run_of_this_machine_says_before_and_after_its_end(home: Path, podtask: Terminal) -> None:  # noqa: F811
    said: list[str] = []

    @flow(name="looks")
    def looks() -> None:
        said.append(podtask("describe flow/@latest --local").out)

    looks()
    said.append(podtask("describe flow/@latest --local").out)
    code = "import os\nfrom podtask import flow\n@flow(name='gone')\ndef gone():\n    os._exit(9)\ngone()\n"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    name = recorded(home)["gone"]["metadata"]["name"]
    said.append(podtask(f"describe flow/{name} --local").out)
    running, completed, gone = ([line for line in text.splitlines() if line] for text in said)
    assert "State:         Running" in running
    assert "Task runs:     not recorded yet" in running
    assert running[-1] == "Next: its task runs are recorded when it ends; Ctrl-C in its terminal ends it"
    assert "Task runs:     none" in completed
    assert completed[-1] == "Next: see its timeline in a browser: podtask ui --local"
    assert "State:         Crashed" in gone
    assert "Task runs:     not recorded" in gone
    assert gone[-1] == "Next: run the program again"
    assert re.search(r"^Duration: +(\d+ms|\d\.\ds|\ds)$", said[1], re.MULTILINE)


@pytest.mark.parametrize("command", ["logs", "watch", "wait", "cancel", "retry", "delete", "suspend"])
def test_a_command_without_local_says_why(podtask: Terminal, command: str) -> None:  # noqa: F811
    """`No such option '--local'. Did you mean '--tail'?` told nobody anything."""
    said = podtask(f"{command} flow/x --local")
    assert said.status == 2
    assert "There is no --local here: a flow run of this machine runs in its own process" in said.err
    assert "Did you mean" not in said.err


def test_the_name_of_a_flow_leads_to_its_newest_run(home: Path, podtask: Terminal) -> None:  # noqa: F811
    etl(1)
    newest = recorded(home)["etl"]["spec"]["title"]
    said = podtask("describe flow/etl --local")
    assert said.status == 3
    assert f"that is the name of a flow, whose newest run is flow/{newest}." in said.err


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
