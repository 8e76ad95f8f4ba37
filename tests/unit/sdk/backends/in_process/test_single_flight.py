"""Identical runs in several processes of one machine: one executes, the others wait, and take over where it fails.

Real drivers, local and process backends. A task says over one pipe that it runs and gets over another what to do; a
driver prints for whom it waits. So nothing here depends on how fast anything is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podtask.backends.in_process.single_flight import Flights

DRIVER = Path(__file__).with_name("flight_driver.py")


class Airfield:
    """Drivers with one home, and the pipes between them and the test."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.backend = folder, backend
        self.drivers: dict[str, subprocess.Popen[str]] = {}
        os.mkfifo(folder / "started")
        self._started = os.fdopen(os.open(folder / "started", os.O_RDWR))  # not only read: so it never sees an end

    def begins(self, who: str, concurrent: str = "wait") -> None:
        os.mkfifo(self.folder / f"order-{who}")
        command = [sys.executable, str(DRIVER), str(self.folder), who, self.backend, concurrent]
        home = {"PODTASK_HOME": str(self.folder / "home"), "PODTASK_PROGRESS": "off"}
        self.drivers[who] = subprocess.Popen(
            command, env={**os.environ, **home}, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def runs(self) -> str:
        """Whose task is executed now."""
        return self._started.readline().strip()

    def order(self, who: str, what: str) -> None:
        (self.folder / f"order-{who}").write_text(what)

    def says(self, who: str) -> str:
        """The next line of a driver."""
        stdout = self.drivers[who].stdout
        assert stdout is not None
        return stdout.readline().strip()

    def last(self, who: str) -> str:
        """The last line of a driver."""
        stdout = self.drivers[who].stdout
        assert stdout is not None
        return stdout.read().splitlines()[-1]

    def waits(self, who: str, leader: str) -> None:
        said = self.says(who)
        assert "waits: the identical run work-" in said
        assert f"(process {self.drivers[leader].pid}) goes first." in said

    def close(self) -> None:
        for driver in self.drivers.values():
            with driver:
                driver.kill()
        self._started.close()


@pytest.fixture(params=["local", "process"])
def field(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Airfield]:
    field = Airfield(tmp_path, request.param)
    yield field
    field.close()


def test_the_second_waits_and_says_for_whom_and_gets_the_first_one_s_result(field: Airfield) -> None:
    field.begins("ada")
    assert field.runs() == "ada"
    field.begins("alan")
    field.waits("alan", "ada")
    field.order("ada", "return")
    assert field.says("ada") == "end: Completed ada"
    assert field.says("alan") == "end: Cached ada"
    assert list((field.folder / "home" / "locks").iterdir()) == []


def test_when_the_leader_fails_one_of_those_who_wait_takes_over(field: Airfield) -> None:
    field.begins("ada")
    assert field.runs() == "ada"
    for who in ("alan", "grace"):
        field.begins(who)
        field.waits(who, "ada")
    field.order("ada", "fail")
    assert field.says("ada") == "end: Failed None"
    heir = field.runs()
    other = ({"alan", "grace"} - {heir}).pop()
    field.order(heir, "return")
    assert field.says(heir) == f"end: Completed {heir}"
    assert field.says(other) == f"end: Cached {heir}"


def test_when_the_leader_s_process_is_killed_the_next_takes_over(field: Airfield) -> None:
    field.begins("ada")
    assert field.runs() == "ada"
    field.begins("alan")
    field.waits("alan", "ada")
    os.kill(field.drivers["ada"].pid, signal.SIGKILL)
    assert field.runs() == "alan"
    field.order("alan", "return")
    assert field.says("alan") == "end: Completed alan"


def test_a_task_may_say_that_it_does_not_wait_and_the_entry_that_two_wrote_is_one_of_theirs(field: Airfield) -> None:
    field.begins("ada")
    assert field.runs() == "ada"
    field.begins("alan", concurrent="run")
    assert field.runs() == "alan"
    field.order("alan", "return")
    field.order("ada", "return")
    assert field.last("ada") == "end: Completed ada"
    assert field.last("alan") == "end: Completed alan"
    field.begins("grace")
    assert field.says("grace") in ("end: Cached ada", "end: Cached alan")


class TestLocks:
    def test_one_run_leads_until_it_lands(self, tmp_path: Path) -> None:
        here, there = Flights(tmp_path), Flights(tmp_path)
        assert here.lead("k", "one") is None
        assert here.lead("k", "one") is None
        assert there.lead("k", "two") == "one"
        assert there.lead("other", "two") is None
        there.land("k", "two")  # leads nothing
        assert there.lead("k", "two") == "one"
        here.land("k", "one")
        assert there.lead("k", "two") is None

    def test_a_forked_child_has_none_of_its_parent_s_locks_and_does_not_take_them_along(self, tmp_path: Path) -> None:
        flights = Flights(tmp_path)
        assert flights.lead("k", "one") is None
        child = os.fork()
        if not child:
            leader = flights.lead("k", "two")
            os._exit(0 if leader == f"one (process {os.getppid()})" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert Flights(tmp_path).lead("k", "three") == "one"

    def test_without_a_place_for_locks_everybody_leads(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        flights = Flights(tmp_path / "file")
        assert flights.lead("k", "one") is None
        flights.land("k", "one")
