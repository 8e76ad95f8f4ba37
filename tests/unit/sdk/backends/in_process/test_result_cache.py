"""A miss on this machine says what differs from the nearest earlier run of the task, also of another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podtask import flow, register_hasher, task
from podtask.backends.in_process.single_flight import Flights
from podtask.core.cache.repository import CacheRepository
from podtask.core.storage.layout import Bucket
from podtask.tasks import task_input_hash
from podtask_runner.hashing.tokens import REGISTERED

FACTOR = 2


@task(cache_key_fn=task_input_hash)
def scaled(rows, unit="m"):
    return rows, unit, FACTOR


@pytest.fixture(params=["local", "process"])
def call(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))
    monkeypatch.setenv("PODTASK_PROGRESS", "off")

    def call(*args: Any) -> Any:
        @flow(backend=request.param)
        def driver():
            future = scaled(*args)
            return future.wait().name, future.task_run

        name, run = driver()
        return name, run.id, run.status.cache

    return call


def test_the_first_run_of_a_task_has_nothing_to_be_compared_with(call: Any) -> None:
    name, _, cache = call([1])
    assert (name, cache.miss_reason) == ("Completed", "There is no entry for this key.")


def test_what_changed_is_named_with_the_run_it_is_compared_to(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = call([1])
    name, second, cache = call([2])
    reason = "There is no entry for this key. Compared with '{}': {}."
    assert name == "Completed"
    assert cache.miss_reason == reason.format(first, "argument `rows` changed; code the same")
    assert call([2])[0] == "Cached"
    assert call([2], "km")[2].miss_reason == reason.format(second, "argument `unit` changed; code the same")
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert call([1])[2].miss_reason == reason.format(first, "code changed; arguments the same")


def test_a_hit_costs_no_lock_and_reads_nothing_but_its_entry(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call([1])
    monkeypatch.delattr(Flights, "lead")
    monkeypatch.delattr(CacheRepository, "explain")
    assert call([1])[0] == "Cached"


@pytest.mark.parametrize("broken", ["cache/*", "runs/*/1/result"])
def test_an_entry_that_nobody_can_use_is_told_and_replaced_by_what_the_run_returns(
    call: Any, tmp_path: Path, broken: str
) -> None:
    _, first, _ = call([1])
    (path,) = (tmp_path / "store" / "local").glob(broken)
    path.write_bytes(path.read_bytes()[:-1])
    name, again, cache = call([1])
    assert (name, again != first) == ("Completed", True)
    assert cache.miss_reason.endswith("; the entry was dropped.")
    name, _, cache = call([1])
    assert (name, cache.source_run) == ("Cached", again)


def test_a_copied_entry_is_no_value_of_another_key(call: Any, tmp_path: Path) -> None:
    """As somebody copies files, or restores a backup under other names."""
    call([1])
    (pointer,) = (tmp_path / "store" / "local" / "cache").iterdir()
    _, _, cache = call([2])
    pointer_of_two = tmp_path / "store" / Bucket("", "local").cache(cache.key)
    pointer_of_two.write_bytes(pointer.read_bytes())
    name, _, cache = call([2])
    assert name == "Completed"
    assert cache.miss_reason == "The entry is not readable (it is the entry of another key); the entry was dropped."
    assert call([2])[0] == call([1])[0] == "Cached"


class Moody:
    def __podtask_hash__(self) -> object:
        raise ValueError("never the same")


def test_an_argument_that_cannot_be_hashed_is_named_with_the_path_to_it(call: Any) -> None:
    name, _, cache = call({"df": [Moody()]})
    assert (name, cache.key) == ("Completed", None)
    assert cache.miss_reason.startswith("No key can be made of the inputs: rows['df'][0]: a ")
    assert "Moody cannot be hashed (never the same)" in cache.miss_reason


def test_a_registered_hasher_gives_it_a_key(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTERED, Moody, str)  # so that what comes next is undone at the end
    register_hasher(Moody, lambda _: "one of many")
    assert [call([Moody()])[0] for _ in range(2)] == ["Completed", "Cached"]
