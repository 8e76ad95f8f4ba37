"""What a person meets whose cluster is not as it should be: each time a sentence with the object and the cure.

The answers are those of real API servers; `tests/unit/sdk/kube/test_errors.py` has the words of rarer ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.kit import World, kubectl
from tests.cluster.operator_process import RUNNERS, Operator, without_installed

from podtask import TaskFuture, backends, flow, task
from podtask.backends.kubernetes import manifest
from podtask.engine import registry
from podtask.kube import client, client_config
from podtask.kube.bucket_access import NoBucket
from podtask.kube.errors import ClusterRefused, ClusterUnreachable

pytestmark = pytest.mark.cluster

MISLABELLED = "3.10"
"""What the operator of these tests believes to be in the image with Python 3.11."""
CURRENT = ("config", "view", "--raw", "--minify", "-o")


@task
def one(x: Any = 1) -> Any:
    return x


@flow
def calling(x: Any = 1) -> Any:
    future = one(x)
    assert isinstance(future, TaskFuture)
    return future.result()


@pytest.fixture(autouse=True)
def on_the_cluster(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PODTASK_BACKEND", "kubernetes")
    monkeypatch.setenv("PODTASK_NAMESPACE", world.namespace)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))  # a backend of the test's own
    monkeypatch.setenv("PODTASK_PROGRESS", "off")
    yield
    backends.register("kubernetes", registry._factories["kubernetes"])  # lets go of the test's own


Account = Callable[..., Path]


@pytest.fixture
def account(world: World, tmp_path: Path) -> Account:
    """Make a service account, with roles in the namespace, and the kube config of somebody who has its token."""

    def make(name: str, *roles: str) -> Path:
        world.kubectl("create", "serviceaccount", name)
        for role in roles:
            bound = f"--serviceaccount={world.namespace}:{name}"
            world.kubectl("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", bound)
        config = json.loads(kubectl(*CURRENT, "json"))
        token = world.kubectl("create", "token", name).strip()
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        path = tmp_path / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    return make


def test_somebody_without_rights_reads_who_may_not_do_what_and_the_command_that_allows_it(
    account: Account, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(account("nobody")))
    with pytest.raises(ClusterRefused) as raised:
        calling()
    who = f"{world.namespace}:nobody"
    assert str(raised.value) == (
        f"'system:serviceaccount:{who}' may not create taskruns in namespace '{world.namespace}'. An administrator can "
        f"allow it: kubectl create rolebinding podtask-edit --clusterrole=edit --serviceaccount={who} "
        f"--namespace={world.namespace}"
    )


def test_somebody_whose_token_is_none_is_told_to_log_in(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    path = account("stranger")
    config = json.loads(path.read_text())
    config["users"][0]["user"]["token"] = "no-token"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterRefused, match=r"^The API server does not know you .* Log in again: kubectl auth whoami"):
        calling()


def test_a_namespace_that_does_not_exist_is_named_with_the_command_that_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PODTASK_NAMESPACE", "t-nowhere")
    with pytest.raises(ClusterRefused) as raised:
        calling()
    assert str(raised.value) == (
        "There is no namespace 't-nowhere': kubectl create namespace t-nowhere, or set PODTASK_NAMESPACE."
    )


def test_a_cluster_without_the_crd_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "VERSION", "v1alpha0")  # what this server has never heard of
    with pytest.raises(ClusterRefused) as raised:
        calling()
    assert str(raised.value) == (
        "The cluster does not know TaskRuns: the CRD taskruns.podtask.dev is missing. Install podtask: "
        "helm install podtask charts/podtask --namespace podtask-system --create-namespace"
    )


def test_without_a_kube_config_the_other_way_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "none"
    monkeypatch.setenv("KUBECONFIG", str(missing))
    with pytest.raises(
        ClusterUnreachable, match=rf"^There is no usable kube config \({missing}\).* PODTASK_BACKEND=local"
    ):
        calling()


def test_a_server_that_does_not_answer_is_named_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads(kubectl(*CURRENT, "json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "away.kubeconfig"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(
        ClusterUnreachable, match=r"^The API server https://127.0.0.1:1 does not answer .* kubectl cluster-info"
    ):
        calling()


def test_a_big_argument_without_a_bucket_names_the_task_the_size_and_both_cures(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(account("editor", "edit")))
    monkeypatch.delenv("PODTASK_STORE")
    monkeypatch.setattr(client_config, "OPERATOR_NAMESPACE", "t-nowhere")  # a cluster whose chart publishes no bucket
    with pytest.raises(NoBucket) as raised:
        calling(os.urandom(100_000))
    said = str(raised.value)
    assert said.startswith("What task 'one' is called with (97.8 KiB) needs the cluster's bucket")
    assert "Set PODTASK_STORE=s3://bucket/prefix" in said
    assert "Or pass less" in said
    assert said.endswith("The largest argument is 'x'.")


@pytest.fixture(scope="module")
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """For what only an operator can say."""
    with without_installed():
        images = json.dumps({**RUNNERS, MISLABELLED: RUNNERS["3.11"]})
        running = Operator(tmp_path_factory.mktemp("operators"), world.namespace, PODTASK_RUNNER_IMAGES=images)
        yield running
        running.end()


def test_a_python_without_a_runner_image_ends_the_run_with_those_there_are(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "PYTHON", "3.9")

    @flow
    def watching() -> Any:
        return one().wait().message

    message = watching()
    assert "3.9" in message
    assert "3.11" in message


def test_an_image_with_another_python_than_promised_opens_nothing_and_names_both(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "PYTHON", MISLABELLED)

    @flow
    def watching() -> Any:
        future = one()
        return future.wait().message, future.task_run.status.attempts[-1].outcome

    message, outcome = watching()
    assert outcome == "EnvironmentMismatch"
    assert "The task was made with Python 3.10 and this image has Python 3.11." in message
