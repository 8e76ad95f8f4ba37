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
from pathlib import Path

import pytest
from tests.cluster.kit import World, namespace, needed
from tests.docs.blocks import PAGES, blocks, name_of
from tests.docs.reader import Reader
from tests.docs.test_manifests import MANIFESTS

pytestmark = pytest.mark.cluster

ON_CLUSTER = [page for page in PAGES if any(block.on_cluster for block in blocks(page))]


def namespace_of(page: Path) -> str:
    """Short, because names of objects are made of it."""
    return "t-docs-" + re.sub(r"[^a-z0-9]+", "-", page.stem.lower())


@pytest.fixture
def page_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A namespace for the page."""
    with namespace(namespace_of(request.param)) as world:
        yield world


@pytest.mark.parametrize(
    ("page", "page_world"), [(page, page) for page in ON_CLUSTER], ids=map(name_of, ON_CLUSTER), indirect=["page_world"]
)
def test_a_reader_with_a_cluster_gets_what_the_page_says(page: Path, page_world: World, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    shutil.copy(needed("KUBECONFIG"), config)
    there = {"KUBECONFIG": str(config), "PODTASK_HOME": str(tmp_path / "home")}
    command = ["kubectl", "config", "set-context", "--current", f"--namespace={page_world.namespace}"]
    subprocess.run(command, env={**os.environ, **there}, check=True, stdout=subprocess.DEVNULL)
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder, there)
    for block in blocks(page):
        reader.follow(block)


def test_the_api_server_takes_every_task_run_of_the_docs(world: World) -> None:
    for manifest in MANIFESTS.values():
        verb = "create" if "generateName" in manifest["metadata"] else "apply"
        world.kubectl(verb, "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(manifest))
