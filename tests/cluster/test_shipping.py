"""A project of several modules on a cluster whose image has none of them, and a module that no pod will have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.cluster.kit import RUNS, World
from tests.support import project

from podtask.core.api.names import CLIENT_CONFIG_MAP
from podtask.core.api.runner_image import MODULES, PUBLISHED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

PROJECT = {
    "shop/__init__.py": "RATE = 2\n",
    "shop/models.py": """
        from dataclasses import dataclass

        @dataclass
        class Order:
            price: int
        """,
    "shop/etl.py": """
        from podtask import task
        from shop.models import Order

        @task
        def double(order):
            from shop import RATE
            return Order(RATE * order.price)

        @task
        def price(order):
            return order.price

        @task
        def mean(numbers):
            import statistics
            return statistics.fmean(numbers)
        """,
    "invoice.py": """
        from podtask import flow
        from shop.etl import double, price
        from shop.models import Order

        @flow
        def invoice():
            order = double(Order(21))
            assert order.result() == Order(42), "of the driver's own class"
            print("price", price(order).result())

        invoice()
        """,
    "arrays.py": """
        import numpy
        from podtask import flow
        from shop.etl import mean

        @flow
        def averaging():
            mean(numpy.arange(3)).result()

        averaging()
        """,
}


def driver(folder: Path, script: str, namespace: str) -> subprocess.CompletedProcess[str]:
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    settings = {"PODTASK_BACKEND": "kubernetes", "PODTASK_NAMESPACE": namespace, "PODTASK_HOME": str(folder / "home")}
    command = [sys.executable, script]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=300
    )


def test_modules_of_the_project_arrive_and_results_are_of_their_classes(world: World, tmp_path: Path) -> None:
    done = driver(tmp_path, "invoice.py", world.namespace)
    assert done.stdout == "price 42\n", done.stderr


def test_a_module_that_the_image_lacks_is_named_and_nothing_is_submitted(world: World, tmp_path: Path) -> None:
    said = f"--from-literal={PUBLISHED}={','.join(MODULES)}"
    world.kubectl("create", "configmap", CLIENT_CONFIG_MAP, said)
    before = world.kubectl("get", RUNS, "-o", "name")
    done = driver(tmp_path, "arrays.py", world.namespace)
    assert done.returncode == 1
    assert "Task 'mean' needs the module 'numpy', which the cluster's runner image does not have" in done.stderr
    assert world.kubectl("get", RUNS, "-o", "name") == before


def test_a_whole_project_runs_and_its_modules_are_in_no_taskrun(world: World, tmp_path: Path) -> None:
    folder = project.write(tmp_path / "project")
    settings = {
        "PODTASK_BACKEND": "kubernetes",
        "PODTASK_NAMESPACE": world.namespace,
        "PYTHONPATH": str(folder / "src"),
    }
    environment = {**os.environ, **settings, "PODTASK_PROGRESS": "off"}
    command = [sys.executable, "run.py"]
    before = {run["metadata"]["uid"] for run in json.loads(world.kubectl("get", RUNS, "-o", "json"))["items"]}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer = next(line for line in done.stdout.splitlines() if line.startswith("REPORT "))
    assert json.loads(answer.removeprefix("REPORT ")) == project.expected()
    runs = json.loads(world.kubectl("get", RUNS, "-o", "json"))["items"]
    runs = [run for run in runs if run["metadata"]["uid"] not in before]
    bundles = {run["spec"]["task"]["bundle"]["digest"] for run in runs}
    assert len(bundles) == 1
    assert max(len(json.dumps(run["spec"])) for run in runs) < 4096
