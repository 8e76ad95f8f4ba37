"""One list of behaviour cases, run on every backend: what a flow author may rely on wherever tasks run.

A case asks for the fixture `backend` (its name). To add a backend, add a line to `suite.py`.
Cases must not rely on shared memory, shared files or importable test modules:
tasks are defined inside the cases, so they travel by value, and learn the attempt number from their context.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.suite import BACKENDS

from podtask import backends


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The backend under test is the default one, with a store of its own."""
    name: str = request.param
    monkeypatch.setenv("PODTASK_BACKEND", name)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield name
    backends.get().close()
