"""The operator's sweep: marks from the API server's own list, all of it, or nothing is removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from podtask.core.storage.layout import Bucket
from podtask.core.storage.memory import MemoryStore
from podtask.kube.bucket_access import FRESH_SECONDS
from podtask_operator import settings
from podtask_operator.kube.client import FULL_PAGE, ApiUnavailable
from podtask_operator.settings import Settings
from podtask_operator.sweep import Sweeper

UID = str(UUID(int=1))
TOLD = Settings("s3://bucket/prefix", namespaces=("team",))


class Runs:
    """`Api` as far as the sweep asks it."""

    def __init__(self, *runs: dict[str, Any], cut_off: bool = False, fence: Callable[[], bool] = lambda: True) -> None:
        self.runs, self.cut_off, self.fence = runs, cut_off, fence

    async def list_runs(self, namespace: str | None, *, page: int) -> AsyncIterator[dict[str, Any]]:
        assert (namespace, page) == ("team", FULL_PAGE)
        for run in self.runs:
            yield run
        if self.cut_off:
            raise ApiUnavailable("the second page did not come")


def sweeper(api: Runs) -> tuple[Sweeper, MemoryStore, str]:
    store = MemoryStore(clock=lambda: 0.0)
    key = Bucket("prefix", "team").attempt(UID, 1).result
    store.put(key, b"data")
    return Sweeper(api, store, "prefix", TOLD), store, key  # type: ignore[arg-type]


def test_what_no_taskrun_names_is_removed_and_counted() -> None:
    made, store, key = sweeper(Runs())
    assert asyncio.run(made.once(dry_run=True)) == (1, 4)
    assert store.head(key) is not None
    assert asyncio.run(made.once()) == (1, 4)
    assert store.head(key) is None


def test_what_a_taskrun_names_stays() -> None:
    made, store, key = sweeper(Runs({"metadata": {"uid": UID}}))
    assert asyncio.run(made.once()) == (0, 0)
    assert store.head(key) is not None


def test_a_list_that_is_cut_off_removes_nothing() -> None:
    made, store, key = sweeper(Runs(cut_off=True))
    with pytest.raises(ApiUnavailable):
        asyncio.run(made.once())
    assert store.head(key) is not None


def test_an_operator_that_lost_its_lease_removes_nothing() -> None:
    made, store, key = sweeper(Runs(fence=lambda: False))
    assert asyncio.run(made.once()) == (0, 0)
    assert store.head(key) is not None


NEEDED = {settings.STORE: "s3://bucket", settings.RUNNER_IMAGES: '{"3.11": "image"}'}


@pytest.mark.parametrize("hours", ["0", "12.9", "-1", "nan"])
def test_hours_that_would_remove_what_clients_still_count_on_are_refused_with_the_cure(hours: str) -> None:
    with pytest.raises(settings.SettingsError, match=r"PODTASK_SWEEP_SPARE_HOURS must be at least 13, .*spareHours"):
        settings.load({**NEEDED, settings.SWEEP_SPARE_HOURS: hours})


def test_the_least_that_is_spared_is_more_than_clients_count_on_and_what_the_chart_takes() -> None:
    least = settings.load({**NEEDED, settings.SWEEP_SPARE_HOURS: "13"}).sweep_spare_hours
    assert least * 3600 > FRESH_SECONDS
    schema = json.loads((Path(__file__).parents[3] / "charts/podtask/values.schema.json").read_text())
    assert schema["properties"]["sweep"]["properties"]["spareHours"]["minimum"] == least
