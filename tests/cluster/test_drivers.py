"""What happens to a flow's TaskRuns when its driver is interrupted, killed, and started again."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.drivers import driver, lines_of
from tests.cluster.kit import World, let_go
from tests.cluster.operator_process import Operator, without_installed

pytestmark = pytest.mark.cluster

GATED = """
from podtask import flow, task

@task
def quick(x):
    return x + 1

@task
def gated(x):
    import os, time
    while not os.path.exists("/tmp/go"):
        time.sleep(0.05)
    return x * 10
"""
THREE = """
@flow
def driving():
    futures = gated.map([1, 2, 3])
    print(*(future.run_id for future in futures))
    print(*(future.wait().name for future in futures))

driving()
"""
# Stands for an API server that answers slowly: only the first cancellation gets there before the second Ctrl-C.
SLOW_CANCEL = """
import threading
from podtask.backends.kubernetes.backend import KubernetesBackend

through = KubernetesBackend.cancel

def cancel(backend, run):
    if run.key.dynamic_key != "0":
        threading.Event().wait()
    through(backend, run)
    print("cancelled", run.id)

KubernetesBackend.cancel = cancel
"""
MID_FLOW = """
@flow
def driving():
    first = quick(1)
    print(first.run_id, first.result())
    second = gated(first)
    print(second.run_id)
    print(second.result(), quick(second).result())

driving()
"""


@pytest.fixture(scope="module", autouse=True)
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with without_installed():
        running = Operator(tmp_path_factory.mktemp("operators"), world.namespace)
        yield running
        running.end()


def test_ctrl_c_cancels_every_taskrun_of_the_flow_and_says_so(world: World, tmp_path: Path) -> None:
    with driver(tmp_path, GATED + THREE, world.namespace, "interrupted") as process:
        names = lines_of(process, 1)[0].split()
        for name in names:
            world.in_state(name, "Running")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=90)
    assert process.returncode == -signal.SIGINT
    assert re.search(
        r"^Interrupted: cancelling 3 task runs of flow run 'driving-\w{8}'\. "
        r"A second Ctrl-C detaches: what is not cancelled by then goes on\.$",
        said,
        re.MULTILINE,
    )
    assert [world.finished(name)["status"]["state"] for name in names] == ["Cancelled"] * 3
    assert [world.pods_of(name) for name in names] == [[f"{name}-1"] for name in names]


def test_a_second_ctrl_c_detaches_what_is_not_cancelled_goes_on_and_is_found_again(
    world: World, tmp_path: Path
) -> None:
    with driver(tmp_path, GATED + SLOW_CANCEL + THREE, world.namespace, "detached") as process:
        names = lines_of(process, 1)[0].split()
        for name in names:
            world.in_state(name, "Running")
        process.send_signal(signal.SIGINT)
        assert lines_of(process, 1) == [f"cancelled {names[0]}"]
        world.finished(names[0])
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "may go on. To re-attach, run the same again with PODTASK_FLOW_RUN_ID=detached" in said
    assert [world.runs[name]["status"]["state"] for name in names] == ["Cancelled", "Running", "Running"]
    with driver(tmp_path, GATED + THREE, world.namespace, "detached") as again:
        assert lines_of(again, 1)[0].split() == names
        let_go(world, *(f"{name}-1" for name in names[1:]))
        out, said = again.communicate(timeout=90)
    assert out.split() == ["Cancelled", "Completed", "Completed"], said
    assert [world.pods_of(name) for name in names] == [[f"{name}-1"] for name in names]


def test_a_killed_driver_finds_its_finished_and_its_running_taskruns_again_and_no_pod_runs_twice(
    world: World, tmp_path: Path
) -> None:
    with driver(tmp_path, GATED + MID_FLOW, world.namespace, "killed") as process:
        first, second = lines_of(process, 2)
        assert first.endswith(" 2")
        world.in_state(second, "Running")
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    with driver(tmp_path, GATED + MID_FLOW, world.namespace, "killed") as again:
        assert lines_of(again, 2) == [first, second]
        let_go(world, f"{second}-1")
        out, said = again.communicate(timeout=90)
    assert out == "20 21\n", said
    assert again.returncode == 0
    for name in (first.split()[0], second):
        assert world.pods_of(name) == [f"{name}-1"]
        assert [attempt["number"] for attempt in world.finished(name)["status"]["attempts"]] == [1]


@pytest.mark.parametrize(
    ("change", "to"),
    [("return x + 1", "return x + 2"), ("quick(1)", "quick(5)")],
    ids=["other code", "another argument"],
)
def test_a_script_that_changed_is_refused_by_a_sentence_that_names_both_calls(
    world: World, tmp_path: Path, change: str, to: str
) -> None:
    script = GATED + "\n@flow\ndef driving():\n    return quick(1).result()\n\nprint(driving())\n"
    pin = "changed-" + re.sub(r"\W+", "-", to)
    with driver(tmp_path, script, world.namespace, pin) as process:
        assert lines_of(process, 1) == ["2"]
    with driver(tmp_path, script.replace(change, to), world.namespace, pin) as again:
        out, said = again.communicate(timeout=90)
    assert (again.returncode, out) == (1, "")
    assert re.search(
        r"FlowReplayMismatch: 'quick-\w{16}' exists already and belongs to another call: it was task 'quick' with call "
        r"digest \w{12}, created 20\S+, asked for is task 'quick' with call digest \w{12}\. The flow's code or "
        r"arguments changed since that run; start the flow with a new flow run id, or delete the old run\.",
        said,
    )
