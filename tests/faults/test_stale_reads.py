"""An operator that starts on lists of long ago, as behind an API server whose cache lags: it does nothing twice."""

from __future__ import annotations

import functools
import json
import urllib.request
from pathlib import Path

import pytest
from tests.cluster import invariants
from tests.cluster.kit import eventually, let_go, namespace, task_run
from tests.cluster.operator_process import Operator
from tests.faults.proxy import Proxy
from tests.faults.scenarios import COMPLETED, GATED, QUICK, running_pods

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SPACE = "t-stale"
LISTS = {
    "taskruns": f"/apis/podtask.dev/v1alpha1/namespaces/{SPACE}/taskruns",
    "pods": f"/api/v1/namespaces/{SPACE}/pods",
}
HELD_SECONDS = 10.0


def test_an_operator_that_reads_old_lists_repeats_nothing(folder: Path, store: Store, api: tuple[Proxy, str]) -> None:
    proxy, kubeconfig = api
    with namespace(SPACE) as world:
        operator = Operator(folder, SPACE)
        try:
            world.apply(task_run("begun", GATED))
            running_pods(world, ["begun"])
            operator.kill()
            world.apply(task_run("new", QUICK))
            remember_lists(proxy)
            operator = Operator(folder, SPACE)
            let_go(world, "begun-1")
            world.finished("new")
            world.finished("begun")
            operator.kill()
            world.kubectl("delete", "pod", "new-1", "begun-1", "--force", "--grace-period=0", "--wait=false")
            operator = Operator(folder, SPACE, KUBECONFIG=kubeconfig)
            eventually("the old state was acted upon", functools.partial(refused_status, proxy, "new"))
            world.apply(task_run("last", QUICK))
            world.finished("last")
            assert operator.alive
        finally:
            operator.end()
        for name in ("begun", "new", "last"):
            run = invariants.check(world, store, name)
            assert (run["status"]["state"], invariants.outcomes(run)) == ("Completed", [COMPLETED])
            assert world.pods_of(name) == [f"{name}-1"]


def remember_lists(proxy: Proxy) -> None:
    """The answers of now are given to whoever lists later; what the watches would say comes late."""
    replay = {"name": "old list", "do": "replay", "when": "after", "times": 100}
    replayed = [{**replay, "match": f"^GET {path}$"} for path in LISTS.values()]
    late = {
        "name": "late watch",
        "match": f"^WATCH .*/{SPACE}/(?P<each>taskruns|pods)$",
        "do": "delay",
        "seconds": HELD_SECONDS,
    }
    proxy.rules(*replayed, late)
    for path in LISTS.values():
        with urllib.request.urlopen(proxy.url + path, timeout=30) as answer:
            assert json.load(answer)["items"]


def refused_status(proxy: Proxy, run: str) -> bool:
    """True once a status was written on top of an old version, and refused."""
    return any(entry["status"] == 409 for entry in proxy.log(f"PATCH {LISTS['taskruns']}/{run}/status$"))
