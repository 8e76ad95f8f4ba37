"""Drivers of every Python that podtask supports, each against pods of its own minor.

The images are built by `dev/images` from interpreters of this machine. The minor that everything else runs on is not
repeated here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.kit import ROOT, World
from tests.cluster.operator_process import Operator, without_installed
from tests.support import project
from tests.support.travel import written

pytestmark = [pytest.mark.cluster, pytest.mark.long]

USUAL = f"{sys.version_info[0]}.{sys.version_info[1]}"
MINORS = [minor for minor in ("3.10", "3.11", "3.12", "3.13") if minor != USUAL]
SCRIPT = {
    "run.py": """
        import enum
        import sys
        import traceback

        from podtask import flow, task, task_input_hash


        class Colour(enum.Enum):
            RED = "r"


        @task(cache_key_fn=task_input_hash)
        def paint(colour):
            return {colour: sys.version_info[:2]}


        @task
        def fails():
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("no such key") from error


        @flow
        def main():
            for _ in range(2):
                future = paint(Colour.RED)
                print(future.wait().name, future.result() == {Colour.RED: sys.version_info[:2]})
            try:
                fails().result()
            except ValueError:
                traceback.print_exc(file=sys.stdout)
            return "done"


        main()
        """,
}


@pytest.fixture(scope="module", autouse=True)
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One that has an image for each minor."""
    subprocess.run([ROOT / "dev" / "images", "load", *MINORS], check=True)
    images = {minor: f"podtask.local/runner:dev-py{minor}" for minor in MINORS}
    with without_installed():
        running = Operator(
            tmp_path_factory.mktemp("operators"), world.namespace, PODTASK_RUNNER_IMAGES=json.dumps(images),
            PODTASK_DEFAULT_PYTHON=MINORS[0],
        )  # fmt: skip
        yield
        running.end()


@pytest.fixture(scope="module", params=MINORS)
def minor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def interpreter(minor: str) -> str:
    made = subprocess.run([ROOT / "dev" / "driver-python", minor], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


def output(interpreter: str, folder: Path, world: World) -> str:
    """What `python run.py` prints there."""
    sources = [str(folder / "src"), str(ROOT / "sdk"), str(ROOT / "runner-image")]
    environment = {
        "PYTHONPATH": os.pathsep.join(sources),
        "PODTASK_BACKEND": "kubernetes",
        "PODTASK_NAMESPACE": world.namespace,
        "PODTASK_HOME": str(folder / "home"),
        "PODTASK_PROGRESS": "off",
    }
    done = subprocess.run(
        [interpreter, "run.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_keeps_classes_cache_and_tracebacks(
    minor: str, interpreter: str, world: World, tmp_path: Path
) -> None:
    folder = written(tmp_path / "script", SCRIPT)
    text = output(interpreter, folder, world)
    assert text.splitlines()[:2] == ["Completed True", "Cached True"]
    for line in (
        '{}["key"]',
        "KeyError: 'key'",
        'raise ValueError("no such key") from error',
        "ValueError: no such key",
    ):
        assert line in text


def test_a_project_of_many_modules_is_itself(interpreter: str, world: World, tmp_path: Path) -> None:
    folder = project.write(tmp_path / "project")
    text = output(interpreter, folder, world)
    answer = json.loads(next(line for line in text.splitlines() if line.startswith("REPORT "))[7:])
    assert answer == project.expected()
