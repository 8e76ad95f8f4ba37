"""The driver writes its flow runs: flows of this process against an API server of this process, over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import result
from tests.unit.sdk.cli.apiserver import Cluster, Refuse, serving
from tests.unit.sdk.cli.conftest import KUBECONFIG

from podtask import backends, flow, tags, task
from podtask.backends.kubernetes import flow_records
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.core.api.flow_run import FlowRunSpec, FlowRunStatus
from podtask.engine import flow_engine
from podtask.errors import FlowCancelled, PodtaskError
from podtask.kube import resumable_watch
from podtask.recording import document

FORBIDDEN = Refuse(
    403, "Forbidden", 'flowruns.podtask.dev is forbidden: User "ada" cannot create resource "flowruns" in API group'
)


@task
def one(x: int) -> int:
    return x


@flow(name="etl")
def etl(x: int, password: str = "hunter2") -> int:
    return one(x).result()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The backend `kubernetes`, with a cluster whose operator completes every TaskRun at once."""
    there = Cluster()
    there.operator = lambda _: result("1")
    monkeypatch.setattr(flow_records, "SHORT_WATCH", 0.01)
    monkeypatch.setattr(resumable_watch, "AT_ONCE", 0.01)
    monkeypatch.setattr(flow_engine, "_top_level", Counter())  # other tests have flows of this name, too
    with serving(there) as address:
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(server=address))
        for name, value in (("KUBECONFIG", str(path)), ("BACKEND", "kubernetes"), ("HOME", str(tmp_path / "home"))):
            monkeypatch.setenv(name if name == "KUBECONFIG" else f"PODTASK_{name}", value)
        monkeypatch.setenv("PODTASK_PROGRESS", "off")
        backend = backends.get()
        yield there
        backend.close()


def flow_runs_asked(cluster: Cluster) -> list[str]:
    return [method for method, path, _ in cluster.asked if "/flowruns" in path and method != "GET"]


def test_one_post_and_one_patch(cluster: Cluster) -> None:
    with tags("nightly"):
        assert etl(1) == 1
    made = cluster.flow_runs.one()
    spec, status = FlowRunSpec.model_validate(made["spec"]), FlowRunStatus.model_validate(made["status"])
    assert flow_runs_asked(cluster) == ["POST", "PATCH"]
    assert (spec.flow, spec.tags, spec.ordinal, spec.parent) == ("etl", ["nightly"], 0, None)
    assert [(one.name, one.value, one.omitted and one.omitted.value) for one in spec.parameters] == [
        ("x", "1", None),
        ("password", None, "Hidden"),
    ]
    assert spec.driver is not None
    assert spec.driver.id == document.driver_id()
    assert spec.pin
    assert (status.state.value, status.tasks, status.counts, status.result) == (
        "Completed",
        "1/1",
        {"Completed": 1},
        "1",
    )
    assert {one.type: one.status for one in status.conditions} == {"Succeeded": "True", "Finished": "True"}
    assert made["metadata"]["labels"]["podtask.dev/root-flow-run"] == made["metadata"]["name"]
    assert "hunter2" not in str(made)


def test_task_runs_are_owned_and_nothing_blocks_their_deletion(cluster: Cluster) -> None:
    etl(1)
    (run,) = cluster.runs.values()
    made = cluster.flow_runs.one()["metadata"]
    (owner,) = run["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "FlowRun",
        "name": made["name"],
        "uid": made["uid"],
        "controller": False,
        "blockOwnerDeletion": False,
    }
    assert run["metadata"]["labels"]["podtask.dev/flow-run"] == made["name"]


def test_a_subflow_is_a_child_and_lives_no_longer_than_its_parent(cluster: Cluster) -> None:
    @flow(name="outer")
    def outer() -> int:
        return etl(2)

    outer()
    by_flow = {obj["spec"]["flow"]: obj for obj in cluster.flow_runs.objects.values()}
    parent, child = by_flow["outer"], by_flow["etl"]
    assert child["spec"]["parent"] == {"name": parent["metadata"]["name"], "uid": parent["metadata"]["uid"]}
    assert child["metadata"]["ownerReferences"][0]["uid"] == parent["metadata"]["uid"]
    assert child["metadata"]["labels"]["podtask.dev/root-flow-run"] == parent["metadata"]["name"]
    assert "ttlSecondsAfterFinished" not in child["spec"]
    assert parent["spec"]["ttlSecondsAfterFinished"] == 7 * 24 * 3600
    assert {obj["status"]["state"] for obj in by_flow.values()} == {"Completed"}


def test_an_async_flow_is_recorded(cluster: Cluster) -> None:
    @flow(name="later")
    async def later() -> int:
        return one(1).result()

    asyncio.run(later())
    assert cluster.flow_runs.one()["status"]["state"] == "Completed"


def test_without_the_right_flows_run_and_say_so_once(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.refuse["POST flowruns"] = FORBIDDEN
    assert etl(1) == 1
    assert etl(2) == 1
    assert cluster.flow_runs.objects == {}
    assert all("ownerReferences" not in run["metadata"] for run in cluster.runs.values())
    (said,) = [record.message for record in caplog.records if record.name == "podtask.recording"]
    assert said.startswith("Flow runs are not recorded; the flow runs all the same. 'ada' may not create flowruns")
    assert len([path for method, path, _ in cluster.asked if method == "POST" and "flowruns" in path]) == 1


def test_a_cluster_of_an_older_version_does_not_know_flow_runs(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.refuse["POST flowruns"] = Refuse(404, "NotFound", "the server could not find the requested resource")
    assert etl(1) == 1
    assert "The cluster does not know FlowRuns: the CRD flowruns.podtask.dev is missing" in caplog.text


def test_an_end_that_cannot_be_written_fails_no_flow(cluster: Cluster) -> None:
    cluster.refuse["PATCH flowruns"] = Refuse(500, "InternalError", "no")
    assert etl(1) == 1
    assert cluster.flow_runs.one()["status"] == {"state": "Running"}


@pytest.mark.parametrize(
    ("raised", "state", "message"),
    [
        (ValueError("no luck"), "Failed", "Flow run encountered an exception. ValueError: no luck"),
        (KeyboardInterrupt(), "Cancelled", "The driver was interrupted."),
        (SystemExit(3), "Crashed", "SystemExit ended the driver."),
    ],
)
def test_other_ends(cluster: Cluster, raised: BaseException, state: str, message: str) -> None:
    @flow(name="ends")
    def ends() -> None:
        raise raised

    with pytest.raises(type(raised)):
        ends()
    status = cluster.flow_runs.one()["status"]
    assert (status["state"], status["message"]) == (state, message)
    assert status["conditions"][0]["status"] == "False"


def test_parameters_that_are_refused_are_an_end_as_well(cluster: Cluster) -> None:
    with pytest.raises(TypeError):
        etl("no number")  # type: ignore[arg-type]
    assert cluster.flow_runs.one()["status"]["state"] == "Failed"


def test_a_flow_that_keeps_its_parameters_to_itself(cluster: Cluster) -> None:
    @flow(name="quiet", record_parameters=False)
    def quiet(x: int) -> int:
        return x

    assert quiet(4711) == 4711
    assert "4711" not in str(cluster.flow_runs.one())
    assert cluster.flow_runs.one()["spec"]["parameters"] == [{"name": "x", "type": "int", "omitted": "Hidden"}]


def another_driver(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this process is another one, with the same pin."""
    monkeypatch.setattr(document, "_process", (document._process[0], "another"))
    monkeypatch.setattr(flow_engine, "_top_level", Counter())


def test_a_restarted_driver_opens_the_flow_run_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-1")
    etl(1)
    before = cluster.flow_runs.one()
    another_driver(cluster, monkeypatch)
    states: list[Any] = []

    @flow(name="etl")
    def again(x: int, password: str = "hunter2") -> int:
        states.append(cluster.flow_runs.one()["status"])
        return one(x).result()

    again(1)
    after = cluster.flow_runs.one()
    assert before["spec"]["pin"] == "nightly-1"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    (open_again,) = states
    assert (open_again["state"], open_again["runs"]) == ("Running", 2)
    assert not open_again.keys() & {"finishedAt", "conditions", "result", "message", "counts"}
    assert (after["status"]["state"], after["status"]["driver"]["id"]) == ("Completed", "another")
    assert len(cluster.runs) == 1


def test_a_driver_that_is_replaced_writes_no_more(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @flow(name="etl")
    def first() -> None:
        name = cluster.flow_runs.one()["metadata"]["name"]
        cluster.flow_runs.change(name, {"status": {"driver": {"id": "somebody", "host": "elsewhere"}, "runs": 2}})

    first()
    status = cluster.flow_runs.one()["status"]
    assert (status["state"], status["driver"]["id"]) == ("Running", "somebody")
    assert "driven by another process now, on elsewhere" in caplog.text


def test_taking_over_from_one_that_may_be_alive_is_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-2")
    cluster.refuse["PATCH flowruns"] = Refuse(500, "InternalError", "no")
    etl(1)
    del cluster.refuse["PATCH flowruns"]
    another_driver(cluster, monkeypatch)
    etl(1)
    assert "was driven by a process on" in caplog.text
    assert cluster.flow_runs.one()["status"]["runs"] == 2


def wait_for_end(cluster: Cluster, change: Any) -> list[str]:
    """A flow that calls tasks until it may not; what it called."""
    called: list[str] = []
    changed = threading.Event()

    @flow(name="long")
    def long() -> None:
        name = cluster.flow_runs.one()["metadata"]["name"]
        one(0)
        change(name)
        changed.set()
        for number in range(1, 10_000):
            one(number)
            called.append(name)

    with pytest.raises(FlowCancelled) as no:
        long()
    assert changed.is_set()
    return [str(no.value)]


def test_a_cancelled_flow_run_makes_no_further_calls(cluster: Cluster) -> None:
    (said,) = wait_for_end(cluster, lambda name: cluster.flow_runs.change(name, {"spec": {"cancel": True}}))
    status = cluster.flow_runs.one()["status"]
    assert "was cancelled (podtask retry flow/" in said
    assert status["state"] == "Cancelled"


def test_a_deleted_flow_run_makes_no_further_calls_and_is_not_written_again(cluster: Cluster) -> None:
    (said,) = wait_for_end(cluster, cluster.flow_runs.remove)
    assert "was deleted. 'one' is not called any more." in said
    assert cluster.flow_runs.objects == {}


def test_a_cancelled_flow_run_is_not_started_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-3")
    etl(1)
    cluster.flow_runs.change(cluster.flow_runs.one()["metadata"]["name"], {"spec": {"cancel": True}})
    another_driver(cluster, monkeypatch)
    with pytest.raises(FlowCancelled):
        etl(1)
    assert cluster.flow_runs.one()["status"]["state"] == "Cancelled"


def test_a_task_run_of_a_deleted_flow_run_is_never_attached_to(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-4")
    etl(1)
    ((key, old),) = cluster.runs.items()
    cluster.flow_runs.remove(cluster.flow_runs.one()["metadata"]["name"])
    another_driver(cluster, monkeypatch)
    backend = backends.get()
    assert isinstance(backend, KubernetesBackend)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            del cluster.runs[key]  # the garbage collector

    monkeypatch.setattr(backend, "_sleep", sleep)
    old["status"] = result("7")
    assert etl(1) == 1
    assert len(waits) == 3
    assert cluster.runs[key]["metadata"]["ownerReferences"][0]["uid"] == cluster.flow_runs.one()["metadata"]["uid"]
    assert caplog.text.count("belongs to a flow run that was deleted; waiting until it is gone") == 1


def test_one_that_stays_for_ever_is_an_error_with_a_cure(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-5")
    etl(1)
    cluster.flow_runs.remove(cluster.flow_runs.one()["metadata"]["name"])
    another_driver(cluster, monkeypatch)
    monkeypatch.setattr(backends.get(), "_sleep", lambda _: None)
    monkeypatch.setattr("podtask.backends.kubernetes.backend.GONE_SECONDS", 6.0)
    with pytest.raises(PodtaskError, match="podtask delete one-"):
        etl(1)


def test_a_task_run_from_before_there_were_flow_runs_is_attached_to(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODTASK_FLOW_RUN_ID", "nightly-6")
    cluster.refuse["POST flowruns"] = FORBIDDEN
    etl(1)
    del cluster.refuse["POST flowruns"]
    another_driver(cluster, monkeypatch)
    backend = backends.get()
    assert isinstance(backend, KubernetesBackend)
    backend.flow_runs._off = False
    assert etl(1) == 1
    assert len([path for method, path, _ in cluster.asked if method == "POST" and path.endswith("taskruns")]) == 2
    assert len(cluster.runs) == 1


def test_a_heartbeat_says_how_far_it_is(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    beaten = threading.Event()
    monkeypatch.setattr(flow_records, "BEAT_SECONDS", 0.01)
    real = flow_records.Recorded.beat

    def beat(self: Any) -> None:
        real(self)
        beaten.set()

    monkeypatch.setattr(flow_records.Recorded, "beat", beat)

    @flow(name="slow")
    def slow() -> None:
        one(1)
        for _ in range(2):  # the first may have begun before the task run ended
            beaten.clear()
            assert beaten.wait(30)
        status = cluster.flow_runs.one()["status"]
        assert status["heartbeat"] >= 1
        assert status["tasks"] == "1/1"

    slow()
    assert cluster.flow_runs.one()["status"]["state"] == "Completed"


def test_a_post_without_an_answer_leaves_task_runs_without_an_owner(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the record is made when it can be made."""
    from podtask.kube.errors import ClusterUnreachable
    from podtask.kube.flow_runs import FlowRunApi

    real, tries = FlowRunApi.create, []

    def create(self: Any, namespace: str, body: Any, **more: Any) -> Any:
        tries.append(more)
        if len(tries) == 1:
            real(self, namespace, body, **more)
            raise ClusterUnreachable("The API server does not answer.")
        return real(self, namespace, body, **more)

    monkeypatch.setattr(FlowRunApi, "create", create)
    assert etl(1) == 1
    assert all("ownerReferences" not in run["metadata"] for run in cluster.runs.values())
    assert cluster.flow_runs.one()["status"]["state"] == "Completed"
    assert tries[0] == {"seconds": flow_records.OWNER_SECONDS}
    assert "is not there in time" in caplog.text


def test_a_detached_flow_run_stays_open(cluster: Cluster) -> None:
    @flow(name="left")
    def left() -> None:
        from podtask.context import FLOW_RUN

        context = FLOW_RUN.get()
        assert context is not None
        context.run.root.detached = True
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        left()
    assert cluster.flow_runs.one()["status"] == {"state": "Running"}
