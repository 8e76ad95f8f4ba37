"""Every write of every scenario is harmed in every way, before and after the server did it: the runs end alike.

Runs of all cases live in one namespace and are served by one operator behind the fault proxies; a rule knows its run
by name. `make test` tries every write with some of the faults, `make test-long` with all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.cluster import invariants
from tests.cluster.killed_operator import WRITES, described
from tests.cluster.kit import Object, World, namespace, needed, task_run
from tests.cluster.operator_process import Operator
from tests.faults.proxy import Proxy, Rule, api_writes
from tests.faults.scenarios import (
    CANCEL,
    CHAIN,
    DISRUPTION,
    GIVES_UP,
    MISS,
    PATIENCE,
    QUICK,
    RETRY,
    SUCCESS,
    Scenario,
    hit,
    own_key,
)

from podtask.core.storage import Store
from podtask_operator.kube.client import REQUEST_TIMEOUT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LATER = {"Retry-After": "1"}
API_FAULTS: dict[str, Rule] = {
    "503-before": {"do": "status", "code": 503, "headers": LATER, "times": 2},
    "429-before": {"do": "status", "code": 429, "headers": LATER},
    "500-before": {"do": "status", "code": 500},
    "403-before": {"do": "status", "code": 403},
    "409-storm": {"do": "status", "code": 409, "times": 4},
    "drop-before": {"do": "drop"},
    "504-after": {"do": "status", "when": "after", "code": 504},
    "500-after": {"do": "status", "when": "after", "code": 500},
    "drop-after": {"do": "drop", "when": "after"},
    "slow": {"do": "delay", "when": "after", "seconds": 3},
}
NO_ANSWER = {"do": "hold", "seconds": REQUEST_TIMEOUT + 5}
LONG_FAULTS: dict[str, Rule] = {"hold-before": NO_ANSWER, "hold-after": {**NO_ANSWER, "when": "after"}}
"""Only in `make test-long`: the operator waits for its time-out."""
STORE_FAULTS: dict[str, Rule] = {
    "503-before": {"do": "status", "code": 503, "body": "<Error><Code>SlowDown</Code></Error>", "times": 4},
    "403-before": {"do": "status", "code": 403, "body": "<Error><Code>AccessDenied</Code></Error>"},
    "drop-before": {"do": "drop", "times": 4},
    "drop-after": {"do": "drop", "when": "after", "times": 4},
}
"""More times than botocore tries by itself."""
WARM = own_key()
SCENARIOS = (SUCCESS, RETRY, MISS, CANCEL, DISRUPTION, CHAIN, GIVES_UP, hit(WARM))
SOME = 1
"""How many of the faults `make test` tries at each write; other ones at the next."""


class Case(NamedTuple):
    """One write of one scenario, harmed in one way."""

    scenario: Scenario
    write: int
    fault: str

    @property
    def run(self) -> str:
        return f"{self.scenario.name}-{self.write}-{self.fault}"

    @property
    def into_bucket(self) -> bool:
        return self.scenario.api_write(self.write) is None


def cases() -> Iterator[tuple[Case, bool]]:
    """All cases, each with whether `make test` tries it."""
    turn = 0
    for scenario in SCENARIOS:
        for write in range(1, len(scenario.writes) + 1):
            faults = list(API_FAULTS if scenario.api_write(write) else STORE_FAULTS)
            chosen = {faults[(turn + step) % len(faults)] for step in range(SOME)}
            turn += SOME
            for fault in (*faults, *(LONG_FAULTS if scenario.api_write(write) else ())):
                yield Case(scenario, write, fault), fault in chosen


CASES = [pytest.param(case, id=case.run, marks=() if in_short else pytest.mark.long) for case, in_short in cases()]


class Lives:
    """The module's namespace, with the operator behind the proxies and the runs of all cases."""

    def __init__(self, world: World, store: Store, api: Proxy, s3: Proxy) -> None:
        self.world = world
        self.store = store
        self.api = api
        self.s3 = s3

    def live(self, chosen: list[Case]) -> None:
        """Apply the runs of all these cases at once, and do what their scenarios want done."""
        made = {case: list(case.scenario.made(case.run)) for case in chosen}
        self.api.rules(*(api_rule(self.world, case) for case in chosen if not case.into_bucket))
        self.s3.rules(*(store_rule(self.world, case, made[case][-1]) for case in chosen if case.into_bucket))
        self.world.apply(*(manifest for manifests in made.values() for manifest in manifests))
        for scenario in SCENARIOS:
            scenario.meanwhile(self.world, [case.run for case in chosen if case.scenario is scenario])

    def api_writes_of(self, run: str) -> list[str]:
        """What the operator wrote for a run, in words, as the proxy saw it."""
        return [
            said
            for entry in api_writes(self.api.log(about(self.world, run)))
            if (said := described(*entry["target"].split(" ", 1), json.loads(entry["body"] or "{}")))
        ]


def about(world: World, run: str) -> str:
    """Finds the targets that concern this run."""
    return (
        rf" .*/namespaces/{world.namespace}/(taskruns/{run}/status|secrets/{run}-[0-9a-f]{{8}}-grants|pods/{run}-\d+)$"
    )


def api_rule(world: World, case: Case) -> Rule:
    """The case's fault, at the case's write."""
    return {
        "name": case.run,
        "match": "^(PATCH|POST|DELETE)" + about(world, case.run),
        "nth": case.scenario.api_write(case.write),
        **{**API_FAULTS, **LONG_FAULTS}[case.fault],
    }


def store_rule(world: World, case: Case, run: Object) -> Rule:
    """The same for a write into the bucket."""
    bucket = world.bucket
    key = bucket.cache(run["spec"]["cache"]["key"])
    return {
        "name": case.run,
        "match": f"^PUT /{urlsplit(needed('PODTASK_STORE')).hostname}/{re.escape(key)}$",
        **STORE_FAULTS[case.fault],
    }


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, folder: Path, store: Store, api: tuple[Proxy, str], s3: Proxy
) -> Iterator[Lives]:
    """All cases that this session wants, under way."""
    chosen = [item.callspec.params["case"] for item in request.session.items if is_case(item, request)]
    with namespace("t-faults-api") as world:
        environment = {"KUBECONFIG": api[1], "PODTASK_S3_ENDPOINT_URL": s3.url, WRITES: str(folder / "writes")}
        operator = Operator(folder, world.namespace, module="tests.cluster.killed_operator", **environment)
        try:
            world.apply(task_run("warm", QUICK, cache={"key": WARM}))
            world.finished("warm", PATIENCE)
            made = Lives(world, store, api[0], s3)
            made.live(chosen)
            yield made
            assert operator.alive, operator.told()
        finally:
            operator.end()


def is_case(item: pytest.Item, request: pytest.FixtureRequest) -> bool:
    return item.path == request.path and "case" in getattr(getattr(item, "callspec", None), "params", {})


@pytest.mark.parametrize("case", CASES)
def test_a_fault_at_any_write_changes_nothing_about_how_the_run_ends(lives: Lives, case: Case) -> None:
    lives.world.finished(case.run, PATIENCE)
    run = invariants.check(lives.world, lives.store, case.run)
    case.scenario.ended_as_it_should(run)
    assert len(lives.world.pods_of(case.run)) == len(case.scenario.outcomes)
    hurt = (lives.s3 if case.into_bucket else lives.api).log()
    assert any(entry["fault"] == case.run for entry in hurt), "the fault was never met"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_writes_of_a_scenario_are_these(lives: Lives, scenario: Scenario) -> None:
    run = f"{scenario.name}-unharmed"
    lives.world.apply(*scenario.made(run))
    scenario.meanwhile(lives.world, [run])
    lives.world.finished(run, PATIENCE)
    expected = [what.format(run=run) for what in scenario.writes if not what.startswith("PUT")]
    assert lives.api_writes_of(run) == expected


def test_afterwards_the_operator_writes_nothing_but_what_a_new_run_needs(lives: Lives) -> None:
    before = len(lives.api.log())
    lives.world.apply(task_run("last", QUICK))
    lives.world.finished("last", PATIENCE)
    written = api_writes(lives.api.log(since=before))
    assert [entry["target"] for entry in written if not re.search(about(lives.world, "last"), entry["target"])] == []
    assert len(written) == len(SUCCESS.writes)
    invariants.nothing_is_left(lives.world, "last")
