"""`podtask run` on the real cluster: a flow from here, and a flow that is driven by a pod; `podtask doctor`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.cluster.kit import ROOT, Refused, World, kubectl
from tests.cluster.transcript import Shell

pytestmark = pytest.mark.cluster

DRIVER_IMAGE = os.environ.get("PODTASK_TEST_DRIVER_IMAGE", "podtask.local/operator:dev")
"""The operator's image has the Kubernetes client that a driver needs."""

PART = ("--show-only", "templates/driver.yaml")


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Shell:
    """A person at a terminal, beside the examples."""
    (tmp_path / "hello.py").write_text((ROOT / "examples" / "hello.py").read_text())
    return Shell(tmp_path, world)


@pytest.fixture(scope="module")
def account(world: World) -> str:
    """The chart's service account for drivers, in the namespace of this module."""
    values = (
        f"store.bucket=bucket,store.existingSecret=keys,driver.enabled=true,driver.namespaces={{{world.namespace}}}"
    )
    made = subprocess.run(
        [
            "helm",
            "template",
            "podtask",
            str(ROOT / "charts" / "podtask"),
            "--namespace",
            world.namespace,
            "--set",
            values,
            *PART,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    world.kubectl("apply", "-f", "-", given=made.stdout)
    return f"system:serviceaccount:{world.namespace}:podtask-driver"


def test_a_flow_is_driven_from_here(shell: Shell) -> None:
    said = shell.run("""podtask run hello.py:hello --param 'names=["ada", "alan"]' --on kubernetes 2>/dev/null""")
    assert said == '["hello ada", "hello alan"]\n'


def test_a_flow_is_driven_by_a_pod(shell: Shell, world: World, account: str) -> None:
    run = f"""podtask run hello.py:hello --param 'names=["ada"]' --in-cluster --image {DRIVER_IMAGE} --wait"""
    created, *_ = shell.run(run).splitlines()
    name = created.removeprefix("taskrun.podtask.dev/").removesuffix(" created")
    assert shell.run(f"podtask result {name}") == '["hello ada"]\n'
    flow_run = world.runs[name]["metadata"]["labels"]["podtask.dev/flow-run"]
    listed = shell.run(f"podtask list --flow-run {flow_run} -o name").split()
    assert len(listed) == 2, "the driver, and its one task"
    assert f"taskrun.podtask.dev/{name}" in listed


def test_a_driver_may_handle_taskruns_of_its_namespace_and_nothing_else(world: World, account: str) -> None:
    def may(verb: str, what: str, namespace: str = world.namespace) -> bool:
        try:
            return kubectl("auth", "can-i", verb, what, "--namespace", namespace, f"--as={account}").strip() == "yes"
        except Refused:  # "no" has an exit status of its own
            return False

    assert all(may(verb, "taskruns.podtask.dev") for verb in ("create", "get", "list", "watch", "patch"))
    assert not may("create", "taskruns.podtask.dev", "default")
    refused = ["delete taskruns.podtask.dev", "create pods", "get pods", "get secrets", "get pods/log"]
    assert [right for right in refused if may(*right.split())] == []


def test_the_doctor_finds_nothing_that_fails(shell: Shell) -> None:
    said = shell.run("podtask doctor")
    assert "FAILED" not in said
    for check in ("API server", "CRD", "rights", "bucket from here", "bucket from a pod", "Python"):
        assert f"ok       {check}" in said


def test_the_store_can_do_all_that_podtask_uses(shell: Shell) -> None:
    said = shell.run("podtask doctor store --large 8")
    lacking = [line for line in said.splitlines() if "  NO  " in line]
    assert [line.split("  ")[0] for line in lacking] == ["… keeps its prefix"], "versitygw takes keys for paths"
    assert "atomic: of 16 writers one won, 8 times" in said


def test_a_person_without_rights_is_told_by_the_doctor(shell: Shell, world: World, account: str) -> None:
    """As the driver's account: it may create TaskRuns, and neither delete them nor read Events."""
    token = world.kubectl("create", "token", "podtask-driver").strip()
    config = shell.folder / "kubeconfig"
    config.write_text(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    there = ("--kubeconfig", str(config))
    kubectl("config", "set-credentials", "driver", f"--token={token}", *there)
    kubectl("config", "set-context", "--current", "--user=driver", *there)
    said = shell.run("podtask doctor --no-trial --kubeconfig kubeconfig")
    assert "warning  rights" in said
    assert "delete taskruns (delete)" in said
    assert "list events (describe)" in said
    assert "its fields may not be read by you" in said
