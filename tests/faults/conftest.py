"""The same world as the cluster tests have (`tests/cluster/conftest`), with fault proxies in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import store
from tests.cluster.operator_process import without_installed
from tests.faults.proxy import Proxy, before_api_server, before_store

__all__ = ["store"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def installed_is_away() -> Iterator[None]:
    with without_installed():
        yield


@pytest.fixture(scope="module")
def api(folder: Path, installed_is_away: None) -> Iterator[tuple[Proxy, str]]:
    """The proxy before the API server, and a kubeconfig for its clients."""
    with before_api_server(folder) as made:
        yield made


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[Proxy]:
    """The proxy before the S3 server."""
    with before_store(folder) as made:
        yield made
