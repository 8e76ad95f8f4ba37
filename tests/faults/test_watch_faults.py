"""Watches that break in every way: nothing that happened meanwhile is missed, nothing runs twice, the process stays.

Each way has its own namespace and operator, because a broken watch of TaskRuns makes kopf start anew; all go on at the
same time. The rules are in force from the start and strike at an operator's second watches, which it opens when
the test cuts the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster import invariants
from tests.cluster.kit import Object, eventually, let_go, namespace, task_run
from tests.cluster.operator_process import Operator
from tests.faults.proxy import Proxy, Rule
from tests.faults.scenarios import COMPLETED, GATED, QUICK, running_pods

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

AT_A_TIME = 4


@dataclass(frozen=True)
class Way:
    """A way in which watches break."""

    rule: Rule
    resync_seconds: int = 600
    """Long: the watch has to recover by itself. Short where only lists can tell."""


WAYS = {
    "event-410": Way({"do": "error event", "code": 410, "times": 2}),
    "event-429": Way({"do": "error event", "code": 429}),
    "event-500": Way({"do": "error event", "code": 500, "times": 2}),
    "event-503": Way({"do": "error event", "code": 503}),
    "answer-410": Way({"do": "status", "code": 410}),
    "answer-429": Way({"do": "status", "code": 429, "headers": {"Retry-After": "1"}, "times": 3}),
    "answer-503": Way({"do": "status", "code": 503, "times": 4}),
    "dropped": Way({"do": "drop", "times": 3}),
    "half-a-line": Way({"do": "cut line", "when": "after", "times": 2}),
    "silence": Way({"do": "swallow", "when": "after", "times": 9}, resync_seconds=3),
    "repeated-events": Way({"do": "repeat events", "when": "after", "times": 9}),
}


def watches(space: str) -> str:
    """Finds the two watches of an operator."""
    return rf"^WATCH .*/namespaces/{space}/(?P<each>taskruns|pods)$"


def space_of(way: str) -> str:
    return f"t-watch-{way}"


@dataclass
class Told:
    """What one case brought to light."""

    runs: dict[str, Object]
    pods: dict[str, list[str]]
    same_process: bool
    replaced_uid: str


def disturb(way: str, folder: Path, store: Store, api: Proxy, kubeconfig: str) -> Told:
    """Cut the watches; while they are broken a run ends, one is new, one is replaced by another of its name."""
    with namespace(space_of(way)) as world:
        environment = {"KUBECONFIG": kubeconfig, "PODTASK_RESYNC_SECONDS": str(WAYS[way].resync_seconds)}
        operator = Operator(folder, world.namespace, **environment)
        try:
            world.apply(task_run("early", GATED), task_run("again", GATED))
            running_pods(world, ["early", "again"])
            before = world.runs["again"]["metadata"]["uid"]
            eventually("both watches are there to be cut", lambda: operator.ready().get("ready"))
            assert len(api.cut(watches(world.namespace))) == 2
            let_go(world, "early-1")
            world.kubectl("delete", "ptr", "again", "--wait=false")
            world.until("the first of its name is gone", lambda: "again" not in world.runs)
            world.apply(task_run("again", QUICK), task_run("late", QUICK))
            for name in ("early", "late", "again"):
                world.finished(name, 120)
            runs = {name: invariants.check(world, store, name) for name in ("early", "late", "again")}
            return Told(runs, {name: world.pods_of(name) for name in runs}, operator.alive, before)
        finally:
            operator.end()


@pytest.fixture(scope="module")
def told(folder: Path, store: Store, api: tuple[Proxy, str]) -> Iterator[dict[str, Future[Told]]]:
    """All ways under way."""
    proxy, kubeconfig = api
    proxy.rules(*({"name": way, "match": watches(space_of(way)), "nth": 2, **WAYS[way].rule} for way in WAYS))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {way: pool.submit(disturb, way, folder, store, proxy, kubeconfig) for way in WAYS}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("way", WAYS)
def test_a_watch_that_breaks_misses_and_repeats_nothing(
    told: dict[str, Future[Told]], api: tuple[Proxy, str], way: str
) -> None:
    result = told[way].result()
    for name, run in result.runs.items():
        assert (run["status"]["state"], invariants.outcomes(run)) == ("Completed", [COMPLETED]), name
        assert result.pods[name] == [f"{name}-1"]
    assert result.runs["again"]["metadata"]["uid"] != result.replaced_uid
    assert result.same_process, "the operator ended"
    hurt = [entry["target"] for entry in api[0].log(watches(space_of(way))) if entry["fault"]]
    assert len(set(hurt)) == 2, "both watches were to meet the fault"
