"""`podtask run --in-cluster`: the driver's TaskRun, and what is said where it cannot be made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.sdk.cli.conftest import Terminal
from tests.unit.sdk.cli.runs import run
from tests.unit.sdk.cli.test_run import FLOWS, flows  # noqa: F401 - a fixture

from podtask.cli.common.in_cluster import PARAMETERS_LIMIT, SOURCE_LIMIT
from podtask.engine.flow_engine import run_id_of
from podtask_runner.bundle import archive

PUBLISHED = {("podtask-system", "podtask-client"): {"data": {"driverImage": "podtask/operator:0.1.0"}}}


def test_the_taskrun_of_a_driver(flows: Terminal) -> None:  # noqa: F811
    flows.cluster.config_maps.update(PUBLISHED)
    said = flows("run some_flows.py:doubled --param x=2 --in-cluster")
    ((_, name), made), *_ = flows.cluster.runs.items()
    assert (said.status, said.out) == (0, f"taskrun.podtask.dev/{name} created\n")
    flow_run = run_id_of(f"{name} doubled")
    assert said.err == f"podtask: its TaskRuns: podtask list --flow-run {flow_run}\n"
    assert name.startswith("doubled-")
    assert made["metadata"]["labels"] == {"podtask.dev/flow": "doubled", "podtask.dev/flow-run": flow_run}
    spec = made["spec"]
    assert spec["task"]["source"].startswith(FLOWS)
    assert spec["task"]["source"].endswith("    return drive(doubled, parameters)\n")
    assert (spec["task"]["function"], spec["parameters"]) == ("podtask_drive", {"x": 2})
    assert (spec["image"], spec["serviceAccountName"]) == ("podtask/operator:0.1.0", "podtask-driver")


def test_a_flow_of_a_module_is_imported_in_the_drivers_image(flows: Terminal) -> None:  # noqa: F811
    flows("run some_flows:broken --in-cluster --image registry.example/own")
    made = next(iter(flows.cluster.runs.values()))
    assert made["spec"]["task"]["source"].startswith("from some_flows import broken\n")
    assert made["spec"]["image"] == "registry.example/own"


def test_modules_that_the_file_imports_travel_beside_it(flows: Terminal) -> None:  # noqa: F811
    Path("helping.py").write_text("RATE = 1\n")
    Path("with_helper.py").write_text(f"import helping\n{FLOWS}")
    said = flows("run with_helper.py:doubled --param x=2 --in-cluster --image i")
    assert said.status == 0, said.err
    ((namespace, _), made), *_ = flows.cluster.runs.items()
    data = flows.store.get(f"{namespace}/blobs/{made['spec']['task']['bundle']['digest']}")
    assert archive.read(data).files["helping.py"] == b"RATE = 1\n"


def test_waiting_for_a_driver_ends_with_its_outcome(flows: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("secrets.token_hex", lambda _: "abcdef01")
    flows.cluster.news = [("MODIFIED", run("broken-abcdef01", "Failed"))]
    said = flows("run some_flows.py:broken --in-cluster --image i --wait")
    assert (said.status, said.out.splitlines()[-1]) == (10, "broken-abcdef01 Failed after 59s")


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    {
        "nobody published an image": (
            "",
            1,
            "podtask: Drivers in the cluster are not switched on, or it is not published",
        ),
        "a backend is named, too": ("--on local", 2, "podtask: --in-cluster drives on Kubernetes; leave --on out.\n"),
        "large arguments": (
            f"--image i --param y={'y' * PARAMETERS_LIMIT}",
            1,
            "podtask: The arguments are larger than 32 KiB",
        ),
    }.values(),
)
def test_a_driver_that_cannot_be_made(flows: Terminal, line: str, status: int, sentence: str) -> None:  # noqa: F811
    said = flows(f"run some_flows.py:doubled --param x=1 --in-cluster {line}")
    assert (said.status, said.out, flows.cluster.runs) == (status, "", {})
    assert said.err.startswith(sentence)


def test_a_file_that_is_too_large(flows: Terminal) -> None:  # noqa: F811
    flows.file("one_flow.py", FLOWS + "#" * SOURCE_LIMIT)
    said = flows("run one_flow.py:broken --in-cluster --image i")
    assert said.err.startswith("podtask: one_flow.py is larger than a TaskRun's source may be (128 KiB); put it into")


def test_drive_is_for_the_pod_of_a_driver() -> None:
    from podtask import flow
    from podtask.driver import drive

    with pytest.raises(RuntimeError, match="for the pod of a driver"):
        drive(flow(lambda: 1), {})


def test_in_its_pod_the_flow_runs_under_the_name_of_the_taskrun(tmp_path: Path) -> None:
    """In a process of its own: a runner's child is an attempt for ever, and so would this one be."""
    code = """
import os, sys
from podtask import flow, get_run_context
from podtask.driver import drive
from podtask_runner.attempt import context
from podtask_runner.protocol import Code, Grants, Put, Slot

slot = Slot(Put("file:///nowhere"), "file:///nowhere")
context.enter(Grants("team", "etl-1", "uid", 1, Code(source="x"), slot, slot, slot))
from podtask.engine import registry
from podtask.backends.local import LocalBackend
from pathlib import Path
here = LocalBackend(Path(sys.argv[1]))
registry.get = lambda name=None: here

@flow
def etl(x):
    return [x, get_run_context().flow_run.id, os.environ["PODTASK_BACKEND"], os.environ["PODTASK_NAMESPACE"]]

print(drive(etl, {"x": 7}))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"[7, '{run_id_of('etl-1 etl')}', 'kubernetes', 'team']\n"
