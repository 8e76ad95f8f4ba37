from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster

from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.settings import Settings


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def backend(cluster: FakeCluster) -> Iterator[KubernetesBackend]:
    made = KubernetesBackend(Settings(), api=cluster)  # type: ignore[arg-type]
    yield made
    made.close()
