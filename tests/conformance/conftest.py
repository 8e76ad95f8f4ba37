"""One list of behaviour cases, run on every backend: what a flow author may rely on wherever tasks run.

A case asks for the fixture `backend` (its name). To add a backend, add a line to `suite.py`.
Cases must not rely on shared memory, shared files or importable test modules:
tasks are defined inside the cases, so they travel by value, and learn the attempt number from their context.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance import cluster
from tests.conformance.suite import BACKENDS

from podtask import backends

WITHOUT_PROCESSES = frozenset(
    {
        "test_async", "test_calls", "test_containers", "test_flow_methods", "test_flows", "test_methods",
        "test_prefect_page", "test_returns", "test_task_objects", "test_upstreams", "test_values",
    }
)  # fmt: skip
"""What the driver does by itself: at each change between threads, and the straight cases with pods."""
TOGETHER = pytest.StashKey[cluster.Together]()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The backend under test is the default one, with a store (on a cluster: a namespace) of its own."""
    name: str = request.param
    if name == cluster.KUBERNETES:
        shared = cluster.is_straight(request.node)
        monkeypatch.setenv(
            "PODTASK_NAMESPACE", request.getfixturevalue("shared_namespace" if shared else "own_namespace")
        )
    monkeypatch.setenv("PODTASK_BACKEND", name)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield name
    backends.get().close()


@pytest.fixture(scope="session")
def shared_namespace() -> Iterator[str]:
    """For the straight cases, which run at the same time."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def own_namespace() -> Iterator[str]:
    """For one of the other cases: a cache of its own."""
    with cluster.namespace() as name:
        yield name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a cluster every case that is not straight is long; so are, by processes, those that are the driver's."""
    for item in items:
        of_the_driver = item.path.stem in WITHOUT_PROCESSES and cluster.on_backend(item, "process")
        if of_the_driver or (cluster.on_backend(item, cluster.KUBERNETES) and not cluster.is_straight(item)):
            item.add_marker(pytest.mark.long)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is left after all deselection runs together."""
    chosen = [item for item in session.items if isinstance(item, pytest.Function) and cluster.is_straight(item)]
    session.stash[TOGETHER] = cluster.Together(chosen)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A straight case tells its outcome instead of running alone."""
    if not cluster.is_straight(pyfuncitem):
        return None
    pyfuncitem.session.stash[TOGETHER].tell(pyfuncitem)
    return True
