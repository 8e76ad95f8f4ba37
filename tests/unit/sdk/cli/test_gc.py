"""`podtask gc`: what nobody needs goes, what is needed or young stays."""

from __future__ import annotations

import os

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run

KEPT, GONE = "0b9a1c1e-0000-4000-8000-000000000001", "0b9a1c1e-0000-4000-8000-000000000002"


@pytest.fixture
def some(podtask: Terminal) -> Terminal:
    """Two runs in the bucket, one of them without a TaskRun; and a run of another namespace."""
    obj = run("kept", "Completed")
    obj["metadata"]["uid"] = KEPT
    podtask.cluster.add(obj)
    for uid in (KEPT, GONE):
        podtask.store.put(podtask.keys(uid).result, b"0123456789")
    podtask.store.put(podtask.keys(GONE, namespace="other").result, b"x")
    return podtask


def keys(podtask: Terminal) -> list[str]:
    return [info.key for info in podtask.store.list("")]


def aged(podtask: Terminal) -> None:
    """The files are older than the command's clock by a day and more."""
    for path in (podtask.folder / "bucket").rglob("*"):
        os.utime(path, (0, 0))


WHY = "its TaskRun is gone, and no status and no live cache entry names it"
LINE = f"team/runs/{GONE}/1/result   10 bytes   {WHY}\n"


def test_a_dry_run_tells_and_removes_nothing(some: Terminal) -> None:
    aged(some)
    before = keys(some)
    said = some("gc --dry-run")
    assert (said.status, said.out) == (0, LINE)
    assert said.err == "podtask: 1 objects (10 bytes) would be removed.\n"
    assert keys(some) == before


def test_what_nobody_needs_goes_and_other_namespaces_stay(some: Terminal) -> None:
    aged(some)
    said = some("gc")
    assert (said.status, said.out, said.err) == (0, LINE, "podtask: 1 objects (10 bytes) were removed.\n")
    assert keys(some) == [f"other/runs/{GONE}/1/result", f"team/runs/{KEPT}/1/result"]


def test_what_is_young_stays(some: Terminal) -> None:
    before = keys(some)
    assert some("gc").out == ""
    assert keys(some) == before
