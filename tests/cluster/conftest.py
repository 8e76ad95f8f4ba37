"""A real cluster with the chart installed (see `dev/with-cluster`), and one watched namespace per test module."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.cluster.kit import World, kubectl, needed

from podtask.core.store import Store
from podtask.core.store.address import open_store

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def store() -> Store:
    """The bucket, as the operator sees it."""
    return open_store(needed("PODTASK_STORE"), endpoint_url=needed("PODTASK_S3_ENDPOINT_URL"))


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A new namespace that enforces Pod Security `restricted`; gone afterwards."""
    needed("KUBECONFIG")
    name = "t-" + re.sub(r"[^a-z0-9]+", "-", request.module.__name__.rsplit(".", 1)[-1].removeprefix("test_"))
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    world = World(name)
    yield world
    world.close()
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
