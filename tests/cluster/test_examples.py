"""Every example ends alike on the cluster and on a laptop, from a driver without access to the bucket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.cluster.kit import World, sentence
from tests.cluster.operator_process import RUNNERS
from tests.support.at_once import begun
from tests.support.examples import FOLDER, LAST_LINE, VALUES

from podtask import __version__

pytestmark = pytest.mark.cluster

PUBLISHED_RUNNER = f"podtask/runner:{__version__}-py3.11"

BUCKET = ("AWS_", "PODTASK_S3_", "PODTASK_STORE")


def printed(example: str, home: Path, **settings: str) -> list[str]:
    """The lines of standard output but those of the tasks themselves, whose order is the scheduler's."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(BUCKET)}
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{example}.py")],
        env={**bare, "PODTASK_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def both_ends(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[tuple[list[str], list[str]]]]]:
    """What each example prints on a laptop and on the cluster."""

    def ends(example: str) -> tuple[list[str], list[str]]:
        home = tmp_path_factory.mktemp(example)
        return (
            printed(example, home, PODTASK_BACKEND="local"),
            printed(example, home, PODTASK_BACKEND="kubernetes", PODTASK_NAMESPACE=world.namespace),
        )

    with begun(request, "example", ends) as outcomes:
        yield outcomes


@pytest.mark.parametrize("example", LAST_LINE)
def test_an_example_ends_alike_on_a_laptop_and_on_the_cluster(
    example: str, both_ends: dict[str, Future[tuple[list[str], list[str]]]]
) -> None:
    here, there = both_ends[example].result()
    assert here[-1].startswith(LAST_LINE[example])
    assert there[-1] == here[-1]


@pytest.mark.parametrize("manifest", VALUES)
def test_the_task_runs_of_a_manifest_complete_with_their_values(manifest: str, world: World) -> None:
    world.kubectl("apply", "--validate=strict", "-f", str(FOLDER / manifest))
    ended = {name: world.finished(name)["status"] for name in VALUES[manifest]}
    assert {name: status["result"]["value"] for name, status in ended.items()} == VALUES[manifest]


def test_the_cron_job_may_create_its_task_run_and_does(world: World) -> None:
    text = (FOLDER / "cron.yaml").read_text()
    assert text.count(PUBLISHED_RUNNER) == 1
    world.kubectl("apply", "--validate=strict", "-f", "-", given=text.replace(PUBLISHED_RUNNER, RUNNERS["3.11"]))
    world.kubectl("create", "job", "--from=cronjob/nightly", "try-it-now")
    name = world.until(
        "the job has created a TaskRun", lambda: next((n for n in world.runs if n.startswith("nightly-")), None)
    )
    assert world.finished(name)["status"]["result"]["value"] == "45"
    as_cron = f"--as=system:serviceaccount:{world.namespace}:nightly"
    assert "cannot list" in sentence(lambda: world.kubectl("get", "ptr", as_cron))
