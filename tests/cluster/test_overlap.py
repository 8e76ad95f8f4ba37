"""Two releases with a namespace in common: the second one leaves it alone until the first one is gone."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.kit import World, eventually, kubectl, task_run
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.api.names import OWNER_LEASE
from podtask_operator.ownership.mark import HANDED_OVER, LOOK
from podtask_operator.process.leader_election import name_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

ONE = "def main():\n    return 1\n"
SLOW = "import time\n\ndef main():\n    time.sleep(30)\n    return 'once'\n"
BESIDE = "t-overlap-beside"


@pytest.fixture(scope="module")
def beside() -> Iterator[str]:
    """A namespace that only the second release serves."""
    kubectl("delete", "namespace", BESIDE, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", BESIDE)
    yield BESIDE
    kubectl("delete", "namespace", BESIDE, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def releases(world: World, beside: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Operator]]:
    """The first serves the world's namespace; the second that one and one beside it, by a Lease of its own."""
    folder = tmp_path_factory.mktemp("releases")
    with without_installed():
        made = [Operator(folder, world.namespace)]
        eventually("the first is ready", lambda: made[0].ready().get("ready") is True, 30)
        world.apply(task_run("before", ONE))
        world.finished("before")
        made.append(Operator(folder, world.namespace, beside, PODTASK_LEASE_NAMESPACE=beside))
        eventually("the second is ready", lambda: made[1].ready().get("ready") is True, 30)
        yield made
        for one in made:
            one.end()


def owner(world: World) -> str:
    mark = json.loads(world.kubectl("get", "lease", OWNER_LEASE, "-o", "json"))
    holder: str = mark["spec"]["holderIdentity"]
    return holder


def left_alone(operator: Operator) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next(line for line in lines if line.startswith("podtask_namespaces_left_alone "))


def test_the_second_release_serves_the_others_of_its_namespaces_and_leaves_this_one_alone(
    releases: list[Operator], world: World, beside: str
) -> None:
    first, second = releases
    world.apply(task_run("shared", SLOW))
    kubectl("apply", "--namespace", beside, "-f", "-", given=json.dumps(task_run("own", ONE)))
    kubectl("wait", "--namespace", beside, "ptr/own", "--for=condition=Finished", "--timeout=60s")
    eventually("it says so", lambda: f"namespace {world.namespace} is left alone" in second.log.read_text(), 30)
    assert f"the release '{world.namespace}/{name_of([world.namespace])}' works there" in second.log.read_text()
    assert (left_alone(first), left_alone(second)) == (
        "podtask_namespaces_left_alone 0.0",
        "podtask_namespaces_left_alone 1.0",
    )
    assert owner(world) == f"{world.namespace}/{name_of([world.namespace])}"
    ended = world.finished("shared")["status"]
    assert (ended["state"], ended["attemptsTotal"]) == ("Completed", 1)
    assert world.pods_of("shared") == ["shared-1"]


@pytest.mark.long
def test_it_takes_over_when_the_first_one_ends(releases: list[Operator], world: World, beside: str) -> None:
    first, second = releases
    world.apply(task_run("handed-over", SLOW))
    world.until("its pod runs", lambda: bool(world.pods_of("handed-over")))
    first.stop()
    eventually("the second works there", lambda: owner(world).startswith(f"{beside}/"), HANDED_OVER + LOOK + 30)
    ended = world.finished("handed-over")["status"]
    assert (ended["state"], ended["attemptsTotal"]) == ("Completed", 1), ended
    assert left_alone(second) == "podtask_namespaces_left_alone 0.0"


@pytest.mark.long
@pytest.mark.timeout(420)
def test_it_waits_for_the_mark_of_a_release_that_was_killed_and_loses_no_attempt(
    releases: list[Operator], world: World, tmp_path: Path
) -> None:
    """The first release again, now the one that waits; the second one is killed."""
    _, second = releases
    first = Operator(tmp_path, world.namespace)
    releases.append(first)
    eventually("it is ready", lambda: first.ready().get("ready") is True, 30)
    world.apply(task_run("through", SLOW))
    world.until("its pod is there", lambda: bool(world.pods_of("through")))
    second.kill()
    eventually("the first works there", lambda: owner(world).startswith(f"{world.namespace}/"), 260)
    ended = world.finished("through")["status"]
    assert (ended["state"], ended["attemptsTotal"]) == ("Completed", 1), ended
