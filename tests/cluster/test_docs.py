"""What the pages tell a reader to do on a cluster, done: every page with such a block, from top to bottom.

Each page has a namespace of its own, set in a copy of the kube config, as a reader would have it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.cluster.kit import World, namespace, needed
from tests.docs.blocks import PAGES, blocks, name_of
from tests.docs.reader import Reader
from tests.docs.test_manifests import MANIFESTS
from tests.support.at_once import begun

pytestmark = pytest.mark.cluster

ON_CLUSTER = [page for page in PAGES if any(block.on_cluster for block in blocks(page))]


def namespace_of(page: Path) -> str:
    """Short, because names of objects are made of it."""
    return "t-docs-" + re.sub(r"[^a-z0-9]+", "-", page.stem.lower())


def read(page: Path, folder: Path) -> None:
    """From top to bottom. Raises `AssertionError` where the page is wrong."""
    config = folder / "kubeconfig"
    shutil.copy(needed("KUBECONFIG"), config)
    there = {"KUBECONFIG": str(config), "PODTASK_HOME": str(folder / "home")}
    with namespace(namespace_of(page)) as world:
        command = ["kubectl", "config", "set-context", "--current", f"--namespace={world.namespace}"]
        subprocess.run(command, env={**os.environ, **there}, check=True, stdout=subprocess.DEVNULL)
        work = folder / "reader"
        work.mkdir()
        reader = Reader(work, there)
        for block in blocks(page):
            reader.follow(block)


@pytest.fixture(scope="module")
def readers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[None]]]:
    """One for each page."""
    with begun(request, "page", lambda page: read(page, tmp_path_factory.mktemp("page"))) as all_of_them:
        yield all_of_them


@pytest.mark.parametrize("page", ON_CLUSTER, ids=map(name_of, ON_CLUSTER))
def test_a_reader_with_a_cluster_gets_what_the_page_says(page: Path, readers: dict[Path, Future[None]]) -> None:
    readers[page].result()


def test_the_api_server_takes_every_task_run_of_the_docs(world: World) -> None:
    for manifest in MANIFESTS.values():
        verb = "create" if "generateName" in manifest["metadata"] else "apply"
        world.kubectl(verb, "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(manifest))
