"""Options of a task that are the cluster's business: the pod really has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.kit import World, kubectl
from tests.cluster.operator_process import RUNNERS, Operator, without_installed

from podtask import backends, flow, task

pytestmark = pytest.mark.cluster

HOSTNAME = "kubernetes.io/hostname"
TOLERATION = {"key": "podtask.dev/spot", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with without_installed():
        running = Operator(tmp_path_factory.mktemp("operators"), world.namespace)
        yield running
        running.end()


@pytest.fixture(autouse=True)
def on_the_cluster(operator: Operator, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PODTASK_BACKEND", "kubernetes")
    monkeypatch.setenv("PODTASK_NAMESPACE", world.namespace)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))
    yield
    backends.get("kubernetes").close()


def test_a_pod_has_what_its_task_asks_for(world: World) -> None:
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    world.kubectl("create", "serviceaccount", "reader")

    @task(
        image=RUNNERS["3.11"],
        resources={"requests": {"cpu": 0.05, "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        env={"GREETING": "hello", "NUMBER": "5"},
        service_account="reader",
        node_selector={HOSTNAME: node},
        tolerations=[TOLERATION],
        pod_template={
            "labels": {"team": "data"},
            "annotations": {"example.com/owner": "etl"},
            "terminationGracePeriodSeconds": 45,
        },
        max_disruptions=2,
        retries=1,
        retry_delay_seconds=[0.5, 2],
        timeout_seconds=120,
    )
    def seen() -> list[str]:
        return [os.environ["GREETING"], os.environ["NUMBER"]]

    @flow
    def asking() -> Any:
        future = seen()
        return future.run_id, future.result()

    name, value = asking()
    assert value == ["hello", "5"]
    run = world.finished(name)
    assert {field: run["spec"][field] for field in ("maxDisruptions", "retries", "retryDelaySeconds")} == {
        "maxDisruptions": 2,
        "retries": 1,
        "retryDelaySeconds": [0.5, 2],
    }
    pod = next(seen.object for seen in world.history if seen.object["metadata"]["name"] == f"{name}-1")
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert container["image"] == RUNNERS["3.11"]
    assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert container["resources"]["limits"] == {"memory": "256Mi"}
    assert {"name": "GREETING", "value": "hello"} in container["env"]
    assert spec["serviceAccountName"] == "reader"
    assert spec["automountServiceAccountToken"] is False
    assert spec["nodeSelector"][HOSTNAME] == node
    assert TOLERATION in spec["tolerations"]
    assert spec["terminationGracePeriodSeconds"] == 45
    assert pod["metadata"]["labels"]["team"] == "data"
    assert pod["metadata"]["annotations"]["example.com/owner"] == "etl"


def test_what_a_task_prints_in_its_pod_is_shown_by_the_driver(caplog: pytest.LogCaptureFixture) -> None:
    @task(log_prints=True)
    def talking():
        print("seen in the pod")
        return 5

    @flow
    def watching():
        return talking().result()

    with caplog.at_level("INFO", "podtask.task_runs"):
        assert watching() == 5
    shown = [record for record in caplog.records if record.message == "seen in the pod"]
    assert [record.name for record in shown] == ["podtask.task_runs"]


def test_an_option_that_the_cluster_does_not_allow_ends_the_run_with_its_name(world: World) -> None:
    @task(pod_template={"hostNetwork": True})
    def privileged() -> int:
        return 1

    @flow
    def asking() -> Any:
        state = privileged().wait()
        return state.is_failed(), state.message

    failed, message = asking()
    assert failed
    assert "spec.podTemplate.hostNetwork is not allowed; allowed are labels, annotations" in message


def test_a_field_that_no_taskrun_has_is_refused_at_the_call() -> None:
    @task(resources={"cpu": 1})
    def misspelled() -> int:
        return 1

    @flow
    def asking() -> Any:
        return misspelled().result()

    with pytest.raises(Exception, match=r'(?s)unknown field "spec.resources.cpu".*Correct the task.s option'):
        asking()
