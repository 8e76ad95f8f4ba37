"""Fixtures of the runner's tests: an attempt on files, an attempt on a server, the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.runner.harness import Attempt
from tests.unit.runner.s3like import S3Like


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(tmp_path / "attempt")


@pytest.fixture
def server() -> Iterator[S3Like]:
    store = S3Like()
    yield store
    store.close()


@pytest.fixture
def served(tmp_path: Path, server: S3Like) -> Attempt:
    return Attempt(tmp_path / "attempt", store=server.url)
