"""A driver with a project in one fresh process, and the real runner in another that has no project, as in a pod.

The driver is a script in a project folder; it packs as the backends do and writes what travels to a folder. The runner
then starts elsewhere, without the project on its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from tests.unit.runner.harness import Attempt, Ran, inline

import podtask
from podtask_runner import protocol

SDK = os.pathsep.join(
    dict.fromkeys(str(Path(module.__file__ or "").parents[1]) for module in (podtask, cloudpickle, protocol))
)
PACK = """
import json, pathlib, sys
from podtask import Task
from podtask.payloads.arguments import prepare
from podtask.payloads.code import shipment
from podtask.payloads.module_policy import ModulePolicy, policy_of
from podtask_runner.serialization.pickling import dumps, loads

def send(fn, *args, to=None, at_home=False, **options):
    task = fn if isinstance(fn, Task) else Task(fn, **options)
    packing = policy_of(task).packing(at_home=at_home)
    folder = pathlib.Path(to or sys.argv[1])
    inputs = prepare(task.name, task.signature.bind(*args), lambda _: None, packing, remote=not at_home)
    folder.joinpath("inputs").write_bytes(inputs.payload)
    sent = shipment(task, inputs, at_home=at_home)
    parts = {"code": sent.code, "overlay": sent.overlay, "bundle": sent.bundle and sent.bundle.data}
    for name, data in parts.items():
        folder.joinpath(name).unlink(missing_ok=True)
        if data is not None:
            folder.joinpath(name).write_bytes(data)
    code = sent.packing
    told = {
        "by_name": sorted(packing.by_name | code.by_name),
        "reached": sorted(packing.reached | code.reached),
        "imported": sorted(code.imported_elsewhere()),
        "stuck": list(sent.stuck),
    }
    folder.joinpath("packing.json").write_text(json.dumps(told))
"""


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


PARTS = ("code", "inputs", "bundle", "overlay")


@dataclass
class Lab:
    """A project, a driver in it, and a pod without it."""

    root: Path
    attempt: Attempt
    path: tuple[Path, ...] = ()
    before: str = ""
    """Runs in the driver before it imports podtask."""

    def send(self, script: str, *, cwd: Path | None = None, **environment: str) -> dict[str, Any]:
        """Run the driver; what its packing met."""
        project, out = self.root / "project", self.root / "out"
        out.mkdir(exist_ok=True)
        written(project, {"driver.py": self.before + PACK + textwrap.dedent(script)})
        path = os.pathsep.join([SDK, *map(str, self.path)])
        done = subprocess.run(
            [sys.executable, str(project / "driver.py"), str(out)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            cwd=cwd or project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads((out / "packing.json").read_text())
        return told

    def again(self, name: str) -> Lab:
        """Another attempt, for what is sent next."""
        self.attempt.root = self.root / name
        return self

    @staticmethod
    def attempt_path() -> str:
        """What PYTHONPATH the runner needs itself."""
        return SDK

    def run(self) -> Ran:
        """The real runner, which has no project."""
        out = self.root / "out"
        parts = {name: inline((out / name).read_bytes()) for name in PARTS if (out / name).exists()}
        code = protocol.Code(shipped=parts["code"], bundle=parts.get("bundle"), overlay=parts.get("overlay"))
        options = {"v": protocol.version_of(code), **self.attempt.options}
        return self.attempt.run(self.attempt.grants(code, inputs=parts["inputs"], **options))

    def answer(self) -> Any:
        """What the task returned, as JSON."""
        ran = self.run()
        assert ran.outcome.result is not None, f"{ran.outcome.error}\n{ran.stderr}"
        return json.loads(ran.result.value or "null")
