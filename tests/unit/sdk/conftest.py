from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from podtask import backends
from podtask.backends.local import LocalBackend


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBackend]:
    """The local backend, with a store of its own."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    found = backends.get()
    assert isinstance(found, LocalBackend)
    yield found
    found.close()
