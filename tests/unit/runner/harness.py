"""Real runs of the supervisor: grants are written to a file, `python -m podtask_runner` is started, the end is read."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import podtask_runner
from podtask_runner import protocol
from podtask_runner.pickled_names import Shipped
from podtask_runner.serialization import pickling
from podtask_runner.storage.spool import digest

RUNNER = str(Path(podtask_runner.__file__).parent.parent)


@dataclass
class Ran:
    exit_code: int
    termination: bytes
    stdout: str
    stderr: str

    @property
    def outcome(self) -> protocol.Outcome:
        return protocol.load_outcome(self.termination)

    @property
    def error(self) -> protocol.Error:
        error = self.outcome.error
        assert error is not None
        return error

    @property
    def result(self) -> protocol.Result:
        result = self.outcome.result
        assert result is not None
        return result


@dataclass
class Attempt:
    """One attempt under `root`; objects are files unless `store` is the URL of a server."""

    root: Path
    store: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.root / "objects" / name

    def slot(self, name: str) -> protocol.Slot:
        url = f"{self.store}/{name}" if self.store else f"file://{self.path(name)}"
        return protocol.Slot(protocol.Put(url, {"If-None-Match": "*"}), url)

    def grants(self, code: protocol.Code, **options: Any) -> protocol.Grants:
        slots = {name: self.slot(name) for name in ("result", "error", "outcome")}
        fields: dict[str, Any] = {
            "namespace": "team",
            "task_run": "hello",
            "uid": "1234",
            "attempt": 1,
            "code": code,
            "store_timeout_seconds": 20.0,
            "grace_seconds": 5.0,
            **slots,
            **self.options,
            **options,
        }
        return protocol.Grants(**fields)

    def write(self, grants: protocol.Grants) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "grants.json"
        path.write_bytes(protocol.dump(grants))
        return path

    @contextmanager
    def started(self, grants: protocol.Grants) -> Iterator[subprocess.Popen[str]]:
        """The running supervisor. Its temporary directory is checked to be empty afterwards."""
        environment = {
            **os.environ,
            "PYTHONPATH": RUNNER,
            "PODTASK_GRANTS": str(self.write(grants)),
            "PODTASK_TERMINATION_LOG": str(self.root / "termination"),
            "TMPDIR": str(self.root / "tmp"),
            **self.env,
        }
        (self.root / "tmp").mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "podtask_runner"],
            env=environment,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def end(self, process: subprocess.Popen[str]) -> Ran:
        stdout, stderr = process.communicate(timeout=60)
        assert list((self.root / "tmp").iterdir()) == [], "the supervisor leaves nothing in TMPDIR"
        return Ran(process.returncode, (self.root / "termination").read_bytes(), stdout, stderr)

    def run(self, grants: protocol.Grants) -> Ran:
        with self.started(grants) as process:
            return self.end(process)

    def source(self, text: str, function: str = "main", **options: Any) -> Ran:
        """From the YAML door."""
        return self.run(self.grants(protocol.Code(source=text, function=function), **options))

    def call(
        self, fn: Callable[..., Any] | Shipped, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any
    ) -> Ran:
        """From the SDK."""
        code = protocol.Code(shipped=inline(pickling.dumps(fn)))
        return self.run(self.grants(code, **{"inputs": inline(pickling.dumps((args, kwargs))), **(options or {})}))


def inline(data: bytes, **changes: Any) -> protocol.Blob:
    blob = protocol.Blob(digest(data), len(data), inline=base64.b64encode(data).decode())
    return replace(blob, **changes)


def stored(path: Path, data: bytes, serializer: str = "cloudpickle") -> protocol.Blob:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return protocol.Blob(digest(data), len(data), serializer, url=f"file://{path}")
