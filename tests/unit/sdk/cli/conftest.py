"""`podtask` as a person types it, against an API server of this process and a bucket that is a folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tests.unit.sdk.cli.apiserver import Cluster, serving

from podtask.cli import app
from podtask.core.storage import Store, open_store
from podtask.core.storage.layout import AttemptKeys, Bucket

NOW = datetime(2026, 1, 2, 3, 14, 5, tzinfo=timezone.utc)
"""Ten minutes after `builders.CREATED`."""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: one, cluster: {{server: "{server}"}}}}]
users: [{{name: me, user: {{}}}}]
contexts: [{{name: here, context: {{cluster: one, user: me, namespace: team}}}}]
"""


@dataclass(frozen=True)
class Said:
    """What came of a command line."""

    status: int
    out: str
    err: str


class Terminal:
    """Runs command lines in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path, cluster: Cluster, store: Store) -> None:
        self.cluster = cluster
        self.folder = folder
        self.store = store
        self._capsys = capsys

    def __call__(self, line: str, program: str = "podtask") -> Said:
        status = app.main(shlex.split(line), program)
        captured = self._capsys.readouterr()
        return Said(int(status), captured.out, captured.err)

    def keys(self, uid: str, attempt: int = 1, namespace: str = "team") -> AttemptKeys:
        """Where an attempt's objects are in the bucket."""
        return Bucket("", namespace).attempt(uid, attempt)

    def file(self, name: str, text: str) -> Path:
        """A file of the user's."""
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def podtask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """The command, with an empty cluster and an empty bucket."""
    cluster = Cluster()
    for name in ("PODTASK_NAMESPACE", "PODTASK_S3_ENDPOINT_URL", "NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    bucket = f"file://{tmp_path}/bucket"
    monkeypatch.setenv("PODTASK_STORE", bucket)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("podtask.core.clock.now", lambda: NOW)
    with serving(cluster) as address:
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(server=address))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield Terminal(capsys, tmp_path, cluster, open_store(bucket))
