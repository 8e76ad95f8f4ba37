"""The sweep on a real bucket: what deleted runs left behind goes, what others still use stays."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.cluster.kit import Object, World, task_run
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.storage import Store
from podtask.core.storage import owner as owners

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

VALUE = "def main():\n    return [1, 2, 3]\n"
CACHE = {"key": f"sweep-{secrets.token_hex(8)}"}
SPARING_NOTHING = """
import os, sys
from podtask_operator import settings, sweep
settings.LEAST_SPARE *= 0
sweep.SETTLE *= 0
os.environ[settings.SWEEP_SPARE_HOURS] = "0"
sys.exit(sweep.main(sys.argv[1:]))
"""
"""The command, without the bound that keeps what is young, and without the wait between its two lists."""


@pytest.fixture(scope="module")
def runs(world: World, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Object]]:
    """Runs that ended; all but `stays` and `hit` were deleted."""
    with without_installed():
        operator = Operator(tmp_path_factory.mktemp("operator"), world.namespace)
        try:
            world.apply(
                task_run("stays", VALUE),
                task_run("gone", VALUE),
                task_run("retained", VALUE, resultRetentionSeconds=3600),
                task_run("cached", VALUE, cache=CACHE),
            )
            ended = {name: world.finished(name) for name in ("stays", "gone", "retained", "cached")}
            world.apply(task_run("hit", VALUE, cache=CACHE))
            ended["hit"] = world.finished("hit")
            world.kubectl("delete", "ptr", "gone", "retained", "cached")
            yield ended
        finally:
            operator.end()


def objects(store: Store, world: World, run: Object) -> set[str]:
    bucket = world.bucket
    return {info.key for info in store.list(bucket.run(run["metadata"]["uid"]))}


def swept(world: World, *arguments: str) -> list[str]:
    """Lines of the command; nothing is spared for its youth."""
    settings = {
        "PODTASK_WATCH_NAMESPACES": world.namespace,
        "PODTASK_RUNNER_IMAGES": '{"3.11": "any"}',
    }
    done = subprocess.run(
        [sys.executable, "-c", SPARING_NOTHING, *arguments],
        env={**os.environ, **settings},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_dry_run_names_what_the_deleted_run_left_and_nothing_else(
    runs: dict[str, Object], store: Store, world: World
) -> None:
    assert runs["hit"]["status"]["state"] == "Cached"
    left = objects(store, world, runs["gone"])
    assert left
    *lines, total = swept(world, "--dry-run")
    assert {line.split()[0] for line in lines} == left
    assert all(line.endswith("its TaskRun is gone, and no status and no live cache entry names it") for line in lines)
    assert total.startswith(f"{len(left)} objects, ")
    assert objects(store, world, runs["gone"]) == left


def test_the_sweep_removes_it_and_the_rest_is_still_of_use(runs: dict[str, Object], store: Store, world: World) -> None:
    before = {name: objects(store, world, runs[name]) for name in ("stays", "retained", "cached")}
    assert all(before.values())
    swept(world)
    assert objects(store, world, runs["gone"]) == set()
    assert {name: objects(store, world, runs[name]) for name in before} == before
    world.apply(task_run("hit-again", VALUE, cache=CACHE))
    assert world.finished("hit-again")["status"]["state"] == "Cached"
    assert swept(world) == ["0 objects, 0 bytes were removed"]


def test_a_folder_that_is_marked_for_another_cluster_is_left_alone(
    runs: dict[str, Object], store: Store, world: World
) -> None:
    world.kubectl("delete", "ptr", "hit-again")
    mark = store.get(world.bucket.owner)
    assert json.loads(mark)["namespaceUID"] == world.bucket.namespace_uid
    before = {info.key for info in store.list(world.bucket.folder)}
    store.put(world.bucket.owner, owners.dump("uid-elsewhere", "another cluster"))
    try:
        assert swept(world) == ["0 objects, 0 bytes were removed"]
        assert {info.key for info in store.list(world.bucket.folder)} == before
    finally:
        store.put(world.bucket.owner, mark)
