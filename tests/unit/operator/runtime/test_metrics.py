"""Metrics: counted where it happens, with labels from closed lists, and all in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from prometheus_client.parser import text_string_to_metric_families

from podtask.core.api.names import CacheOutcome, Ended, State
from podtask.core.api.status import Attempt, CacheInfo, Status
from podtask_operator.runtime import metrics
from podtask_operator.runtime.metrics import LiveGauges

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def live() -> LiveGauges:
    def states() -> Iterator[State]:
        yield from (State.RUNNING, State.RUNNING, State.PENDING)

    gauges = [row for row in metrics.TABLE if row.kind == "gauge" and not row.labels]
    return LiveGauges(lambda: dict.fromkeys(gauges, 7.0), states)


def scraped() -> dict[tuple[str, tuple[str, ...]], float]:
    """Sample name and label values -> value."""
    families = text_string_to_metric_families(live().text().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def added(before: dict[tuple[str, tuple[str, ...]], float]) -> dict[tuple[str, tuple[str, ...]], float]:
    after = scraped()
    found = {key: value - before.get(key, 0) for key, value in after.items() if key[0].startswith("podtask_")}
    return {key: value for key, value in found.items() if value and not key[0].endswith("_created")}


def test_a_transition_is_counted_once_by_outcome_state_and_cache() -> None:
    before = scraped()
    running = Status(State.RUNNING, attempts=(Attempt(1),), attempts_total=1)
    over = Attempt(1, outcome=Ended.COMPLETED)
    ended = replace(
        running, state=State.COMPLETED, attempts=(over,), cache=CacheInfo(outcome=CacheOutcome.MISS), finished_at=NOW
    )
    metrics.transition(Status(), running)
    metrics.transition(running, ended)
    metrics.transition(ended, ended)
    assert added(before) == {
        ("podtask_attempts_total", ("Completed",)): 1,
        ("podtask_taskruns_ended_total", ("Completed",)): 1,
        ("podtask_cache_total", ("Miss",)): 1,
    }


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/apis/podtask.dev/v1alpha1/namespaces/team/taskruns/hello/status", "taskruns/status"),
        ("/api/v1/namespaces/team/pods", "pods"),
        ("/api/v1/namespaces/team/pods/hello-1", "pods"),
        ("/apis/coordination.k8s.io/v1/namespaces/system/leases/podtask-operator", "leases"),
    ],
)
def test_a_write_is_counted_by_kind_method_and_code_and_never_by_name(path: str, resource: str) -> None:
    before = scraped()
    metrics.wrote("PATCH", path, 409)
    metrics.wrote("PATCH", path, None)
    assert added(before) == {
        ("podtask_api_writes_total", ("409", "PATCH", resource)): 1,
        ("podtask_api_writes_total", ("none", "PATCH", resource)): 1,
    }


def test_every_state_has_its_gauge_also_at_zero() -> None:
    found = {labels[0]: value for (name, labels), value in scraped().items() if name == "podtask_taskruns"}
    assert set(found) == set(map(str, State))
    assert {state: value for state, value in found.items() if value} == {"Running": 2, "Pending": 1}


def test_the_table_has_every_metric_that_is_served_and_no_other() -> None:
    served = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(live().text().decode())
        if family.name.startswith("podtask_") and not family.name.endswith("_created")
    }
    assert served == {row.name for row in metrics.TABLE}
    assert all(row.help.endswith(".") for row in metrics.TABLE)


def test_the_table_is_printed_as_markdown() -> None:
    text = metrics.markdown()
    assert len(text.splitlines()) == len(metrics.TABLE) + 2
    assert "| `podtask_attempts_total` | counter | `outcome` | Attempts that were judged, by outcome" in text
