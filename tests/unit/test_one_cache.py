"""Laptop, operator and command make the same of what lies under a cache key: one repository, three users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cache_cases import DATA, EXPIRED, KEY, UNUSABLE, Stored
from tests.support.operator_world import World
from tests.unit.sdk.harness import Stage

from podtask import task
from podtask.core.storage import StoreRefused
from podtask.core.storage.directory import DirectoryStore
from podtask.core.storage.layout import Bucket

Make = Callable[[Stored], object]
Seen = tuple[str, str | None, str | None, bool]
"""Outcome of the lookup, why it missed, the value of a hit, and whether there is an entry afterwards."""


@task(cache_key_fn=lambda *_: KEY)
def cached() -> None:
    """Has no body to run: what runs it only writes down that it would."""


def on_the_laptop(home: Path, make: Make) -> Seen:
    """A run of the in-process lifecycle whose attempt is launched, or not."""
    stage = Stage(home)
    stored = Stored(DirectoryStore(home / "store"), Bucket("", "local"))
    make(stored)
    run = stage.run(cached)
    info = run.status.cache
    assert info is not None
    assert bool(stage.paper.launched) is (info.outcome.value == "Miss")
    value = run.status.result.value if run.status.result is not None else None
    return info.outcome.value, info.miss_reason, value, stored.store.head(stored.place) is not None


def in_the_operator(make: Make) -> Seen:
    """A TaskRun that gets a pod, or not."""
    world = World()
    stored = Stored(world.store, Bucket("prefix", "team", namespace_uid="uid-of-team"))
    make(stored)
    world.add("run", {"cache": {"key": KEY}})
    asyncio.run(world.look("run"))
    status: dict[str, Any] = world.status("run")
    info = status["cache"]
    assert bool(world.api.pods) is (info["outcome"] == "Miss")
    value = status.get("result", {}).get("value")
    return info["outcome"], info.get("missReason"), value, stored.store.head(stored.place) is not None


OTHERS: dict[str, tuple[Make, Seen]] = {
    "a good entry": (lambda stored: stored.put(), ("Hit", None, DATA.decode(), True)),
    "a good entry whose value is in the store": (lambda stored: stored.put(value=None), ("Hit", None, None, True)),
    "no entry": (lambda _: None, ("Miss", "There is no entry for this key.", None, False)),
    "an expired one": (lambda stored: stored.put(expiresAt=EXPIRED), ("Miss", "The entry has expired.", None, True)),
}
CASES = OTHERS | {name: (case.make, ("Miss", case.reason, None, False)) for name, case in UNUSABLE.items()}


@pytest.mark.parametrize("case", CASES)
def test_laptop_and_operator_do_the_same_and_say_the_same(tmp_path: Path, case: str) -> None:
    make, seen = CASES[case]
    assert on_the_laptop(tmp_path, make) == seen
    assert in_the_operator(make) == seen


@pytest.mark.parametrize("verb", ["get", "head", "delete"])
def test_a_home_that_cannot_be_read_or_written_costs_a_run_its_hit_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The operator tries again until its bucket is back; on the laptop nobody would."""

    def refused(*_: object, **__: object) -> Any:
        raise StoreRefused("permission denied")

    stored = Stored(DirectoryStore(tmp_path / "store"), Bucket("", "local"))
    UNUSABLE["cut off"].make(stored) if verb == "delete" else stored.put()
    monkeypatch.setattr(DirectoryStore, verb, refused)
    stage = Stage(tmp_path)
    run = stage.run(cached)
    assert stage.paper.launched == [(run.id, 1)]
    assert run.status.cache is not None
    assert run.status.cache.miss_reason == (
        "The entry is not readable (Expecting value: line 1 column 17 (char 16))."
        if verb == "delete"
        else "The cache cannot be read: permission denied"
    )
