"""A scripted API server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.sdk.kube.scripted_server import Scene, serving


@pytest.fixture
def scene() -> Iterator[Scene]:
    with serving() as made:
        yield made
