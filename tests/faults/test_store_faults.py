"""Every access to the bucket is harmed in every way, the operator's and the runner's: runs end alike, at one attempt.

The runs are there before their operator: a rule knows the objects of its run by the run's UID. Signed URLs name the
proxy, so pods meet it, too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.cluster import invariants
from tests.cluster.invariants import EVIDENCE
from tests.cluster.kit import Object, World, namespace, needed, task_run, together
from tests.cluster.operator_process import Operator
from tests.faults.proxy import Proxy, Rule
from tests.faults.scenarios import FAILS_ONCE, HANGS_ONCE, QUICK, own_key, running_pods

from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

TOO_LARGE = f"""
def main():
    print("{EVIDENCE}", flush=True)
    return list(range(100_000))
"""
"""Its result is downloaded by whoever needs it."""
LENGTH = f"""
def main(given):
    print("{EVIDENCE}", flush=True)
    return len(given)
"""
FAULTS: dict[str, Rule] = {
    "503": {"do": "status", "code": 503, "body": "<Error><Code>SlowDown</Code></Error>", "times": 5},
    "403": {"do": "status", "code": 403, "body": "<Error><Code>AccessDenied</Code></Error>", "times": 2},
    "drop-before": {"do": "drop", "times": 4},
    "drop-after": {"do": "drop", "when": "after", "times": 2},
    "slow": {"do": "delay", "when": "after", "seconds": 5},
    "half": {"do": "truncate", "when": "after", "times": 2},
}
"""503: more times than botocore tries by itself."""
SOME = 3
"""How many of the faults `make test` tries at each access; other ones at the next."""
LOSES_ITS_POD = "outcome-read"
Asked = Callable[[Bucket, Object], str]


@dataclass(frozen=True)
class Access:
    """A request to the S3 server that the life of a run needs, and such a life."""

    verb: str
    key: Asked
    source: str = QUICK
    cached: bool = False
    outcomes: tuple[str, ...] = ("Completed",)
    upstream: str | None = None
    """Source of the run before it, whose result is asked for."""


def of_first(what: str) -> Asked:
    return lambda bucket, run: getattr(bucket.attempt(run["metadata"]["uid"], 1), what)


def pointer(bucket: Bucket, run: Object) -> str:
    return bucket.cache(run["spec"]["cache"]["key"])


ACCESSES = {
    "lookup": Access("GET", pointer, cached=True),
    "publish-head": Access("HEAD", of_first("result"), cached=True),
    "publish": Access("PUT", pointer, cached=True),
    LOSES_ITS_POD: Access("GET", of_first("outcome"), HANGS_ONCE, outcomes=("Disruption", "Completed")),
    "result": Access("PUT", of_first("result")),
    "error": Access("PUT", of_first("error"), FAILS_ONCE, outcomes=("Failed", "Completed")),
    "outcome": Access("PUT", of_first("outcome")),
    "log": Access("POST", of_first("log")),
    "input": Access("GET", of_first("result"), LENGTH, upstream=TOO_LARGE),
}


class Case(NamedTuple):
    """One access, harmed in one way."""

    access: str
    fault: str

    @property
    def run(self) -> str:
        return f"{self.access}-{self.fault}"

    @property
    def harmed(self) -> str:
        """The run whose objects are meant."""
        return f"{self.run}-up" if ACCESSES[self.access].upstream else self.run

    def manifests(self) -> Sequence[Object]:
        access, more = ACCESSES[self.access], {}
        if access.cached:
            more["cache"] = {"key": own_key()}
        if access.upstream:
            more["upstream"] = [{"taskRun": self.harmed, "parameter": "given"}]
        hangs = [{"name": "HANGS", "value": "1"}]
        run = task_run(self.run, access.source, retries=1, env=hangs, **more)
        return [task_run(self.harmed, access.upstream), run] if access.upstream else [run]

    def rule(self, world: World, bucket: Bucket) -> Rule:
        access = ACCESSES[self.access]
        place, key = urlsplit(needed("PODTASK_STORE")).hostname, access.key(bucket, world.runs[self.harmed])
        if access.verb == "POST":  # a form: the key is inside
            return {"name": self.run, "match": f"^POST /{place}/?$", "within": key, **FAULTS[self.fault]}
        return {"name": self.run, "match": f"^{access.verb} /{place}/{re.escape(key)}$", **FAULTS[self.fault]}


def cases() -> Iterator[tuple[Case, bool]]:
    """All cases, each with whether `make test` tries it."""
    for turn, (name, access) in enumerate(ACCESSES.items()):
        faults = [fault for fault in FAULTS if fault != "half" or access.verb == "GET"]
        chosen = {faults[-1], *(faults[(turn * SOME + step) % len(faults)] for step in range(SOME - 1))}
        for fault in faults:
            yield Case(name, fault), fault in chosen


CASES = [pytest.param(case, id=case.run, marks=() if in_short else pytest.mark.long) for case, in_short in cases()]


@dataclass(frozen=True)
class Lives:
    """The module's namespace, and the proxy before the S3 server."""

    world: World
    store: Store
    s3: Proxy


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, folder: Path, store: Store, s3: Proxy, installed_is_away: None
) -> Iterator[Lives]:
    """All cases that this session wants, under way."""
    with namespace("t-faults-store") as world:
        chosen = [item.callspec.params["case"] for item in request.session.items if item.path == request.path]
        world.apply(*(manifest for case in chosen for manifest in case.manifests()))
        world.until("all runs are there", lambda: all(case.harmed in world.runs for case in chosen))
        bucket = world.bucket
        s3.rules(*(case.rule(world, bucket) for case in chosen))
        operator = Operator(folder, world.namespace, PODTASK_S3_ENDPOINT_URL=s3.url)
        try:
            lose_pods(world, [case.run for case in chosen if case.access == LOSES_ITS_POD])
            yield Lives(world, store, s3)
            assert operator.alive, operator.told()
        finally:
            operator.end()


def lose_pods(world: World, runs: Sequence[str]) -> None:
    """Their pods vanish without a last word."""
    pods = running_pods(world, runs)
    forced = ("--force", "--grace-period=0", "--wait=false")
    together({pod: functools.partial(world.kubectl, "delete", "pod", pod, *forced) for pod in pods})


@pytest.mark.parametrize("case", CASES)
def test_a_fault_at_any_access_changes_nothing_about_how_the_run_ends(lives: Lives, case: Case) -> None:
    lives.world.finished(case.run, 300)
    run = invariants.check(lives.world, lives.store, case.run)
    assert run["status"]["state"] == "Completed"
    assert [outcome for outcome, _ in invariants.outcomes(run)] == list(ACCESSES[case.access].outcomes)
    assert any(entry["fault"] == case.run for entry in lives.s3.log()), "the fault was never met"
