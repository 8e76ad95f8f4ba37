"""A real cluster with the chart installed (see `dev/with-cluster`), and one watched namespace per test module."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.cluster.kit import World, namespace, opened_store
from tests.cluster.operator_process import Operator, without_installed

from podtask.core.storage import Store

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def store() -> Store:
    """The bucket, as the operator sees it."""
    return opened_store()


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A namespace of the module's own."""
    with namespace(
        "t-" + re.sub(r"[^a-z0-9]+", "-", request.module.__name__.rsplit(".", 1)[-1].removeprefix("test_"))
    ) as world:
        yield world


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The module's namespace with an operator of its own."""
    with without_installed():
        operator = Operator(tmp_path_factory.mktemp("operator"), world.namespace)
        try:
            yield world
        finally:
            operator.end()
