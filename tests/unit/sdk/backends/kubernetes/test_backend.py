"""The backend against a cluster that does as it is told: what is posted, what waits, who is taken over."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import ENDED, FakeCluster, broken_key, result, run_of, sum_key

from podtask import File, Task, TaskFuture, allow_failure, task_input_hash
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.core.api.names import State
from podtask.core.api.status import ErrorInfo, Status
from podtask.core.storage.memory import MemoryStore
from podtask.errors import ResultUnavailable, SettingsError, TaskCrashed, UpstreamNotReady
from podtask.kube.errors import ClusterRefused
from podtask.payloads.arguments import bind, prepare
from podtask.payloads.module_policy import ModulePolicy
from podtask.settings import Settings
from podtask.states import Failed
from podtask_runner.names import INLINE_LIMIT
from podtask_runner.serialization.by_value import Packing
from podtask_runner.serialization.exceptions import dump_exception

SECONDS = 10.0
"""Bound on waiting for another thread; never reached."""


def one() -> int:
    return 1


def add(x: Any, y: Any = 0) -> Any:
    return x + y


ONE, ADD = Task(one), Task(add)


def specs(cluster: FakeCluster) -> list[dict[str, Any]]:
    return [body["spec"] for body in cluster.posted]


class TestFiles:
    def test_the_content_of_files_is_named_by_its_digest_once(
        self, backend: KubernetesBackend, cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = MemoryStore()
        monkeypatch.setattr("podtask.core.storage.open_store", lambda *_, **__: store)
        cluster.published["team"] = {"bucket": "data"}
        files = []
        for name in ("a.txt", "b.txt"):
            (tmp_path / name).write_bytes(b"content")
            files.append(File(tmp_path / name))
        run = run_of(ADD, files[0], {"deep": files[1]}, backend=backend)
        run.inputs = prepare("add", bind(ADD.signature, (files[0], {"deep": files[1]}), {}), lambda _: None, packing())
        backend.submit(run)
        spec = specs(cluster)[0]
        assert spec["files"] == [{"digest": files[0].digest, "size": 7}]
        assert store.get(f"team/blobs/{files[0].digest}") == b"content"
        assert b"content" not in base64.b64decode(spec["inputs"]["inline"])


def packing() -> Packing:
    return ModulePolicy().packing()


class TestSubmit:
    def test_a_call_is_one_post_and_one_watch_for_all(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        runs = [run_of(ONE, backend=backend, number=str(n)) for n in range(3)]
        for run in runs:
            backend.submit(run)
        for run in runs:
            cluster.tell(run.id, result("1"))
            assert run.wait(SECONDS)
        assert [run.load() for run in runs] == [1, 1, 1]
        assert sorted(cluster.asked) == ["POST", "POST", "POST", "WATCH"]

    def test_futures_are_submitted_at_once_as_references_in_the_order_met(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        a, b, c = (run_of(ONE, backend=backend, number=str(n)) for n in range(3))
        after = run_of(ADD, [TaskFuture(b), TaskFuture(a)], TaskFuture(b), backend=backend, wait_for=(c,))
        for run in (a, b, c, after):
            backend.submit(run)
        spec = specs(cluster)[-1]
        assert spec["upstream"] == [needed(cluster, b), needed(cluster, a)]
        assert spec["waitFor"] == [needed(cluster, c)]
        assert "cache" not in spec

    def test_an_upstream_that_may_fail_is_posted_so(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        a, b = (run_of(ONE, backend=backend, number=str(n)) for n in range(2))
        after = run_of(ADD, allow_failure([TaskFuture(a), TaskFuture(b)]), TaskFuture(b), backend=backend)
        for run in (a, b, after):
            backend.submit(run)
        first, second = specs(cluster)[-1]["upstream"]
        assert (first, "allowFailure" in second) == ({**needed(cluster, a), "allowFailure": True}, False)

    def test_a_call_hashed_by_task_input_hash_is_submitted_at_once_with_futures_too(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        first = run_of(ONE, backend=backend)
        cached = run_of(Task(add, cache_key_fn=task_input_hash), TaskFuture(first), backend=backend)
        backend.submit(first)
        backend.submit(cached)
        assert set(specs(cluster)[-1]["cache"]["components"]["arguments"]) == {"x", "y"}

    def test_a_refusal_is_raised_at_the_call_and_nothing_is_owed(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        cluster.refusals = [ClusterRefused("no such namespace", 404, "NotFound")]
        run = run_of(ONE, backend=backend)
        with pytest.raises(ClusterRefused, match="no such namespace"):
            backend.submit(run)
        assert not run.finished

    def test_a_given_state_that_did_not_complete_is_not_ready_without_a_post(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        run = run_of(ADD, Failed("no"), backend=backend)
        backend.submit(run)
        assert run.state.name == "NotReady"
        assert cluster.posted == []


class TestKeyFunctions:
    """A user's `cache_key_fn` sees values, so the call waits in the background, and so does what needs its TaskRun."""

    def keyed(self) -> Task[Any, Any]:
        return Task(add, cache_key_fn=sum_key)

    def test_the_post_waits_for_the_upstreams_and_the_caller_does_not(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        first = run_of(ONE, backend=backend)
        keyed = run_of(self.keyed(), TaskFuture(first), backend=backend)
        last = run_of(ONE, backend=backend, number="1", wait_for=(keyed,))
        for run in (first, keyed, last):
            backend.submit(run)
        assert [body["metadata"]["name"] for body in cluster.posted] == [first.id]
        cluster.statuses = {keyed.id: result("1"), last.id: result("2")}
        cluster.tell(first.id, result("41"))
        assert last.wait(SECONDS)
        assert [body["metadata"]["name"] for body in cluster.posted] == [first.id, keyed.id, last.id]
        assert specs(cluster)[1]["cache"] == {"key": "sum-41"}

    def test_one_that_raises_crashes_the_run_and_what_follows_is_not_ready(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        keyed = run_of(Task(add, cache_key_fn=broken_key), 1, backend=backend)
        after = run_of(ADD, TaskFuture(keyed), backend=backend, number="1")
        backend.submit(keyed)
        backend.submit(after)
        assert after.wait(SECONDS)
        with pytest.raises(TaskCrashed, match="ZeroDivisionError"):
            keyed.load()
        with pytest.raises(UpstreamNotReady):
            after.load()
        assert cluster.posted == []

    def test_with_a_failed_upstream_the_operator_is_asked_without_a_key(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        first = run_of(ONE, backend=backend)
        keyed = run_of(self.keyed(), TaskFuture(first), backend=backend)
        backend.submit(first)
        backend.submit(keyed)
        cluster.statuses = {keyed.id: {**ENDED, "state": "NotReady"}}
        cluster.tell(first.id, {**ENDED, "state": "Failed"})
        assert keyed.wait(SECONDS)
        assert "cache" not in specs(cluster)[-1]
        assert keyed.state.name == "NotReady"

    def test_a_run_cancelled_while_it_waits_never_reaches_the_cluster(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        first = run_of(ONE, backend=backend)
        keyed = run_of(self.keyed(), TaskFuture(first), backend=backend)
        after = run_of(ADD, TaskFuture(keyed), backend=backend, number="1")
        for run in (first, keyed, after):
            backend.submit(run)
        backend.cancel(keyed)
        assert after.wait(SECONDS)
        assert [keyed.state.name, after.state.name] == ["Cancelled", "NotReady"]
        assert [body["metadata"]["name"] for body in cluster.posted] == [first.id]


class TestOtherBackends:
    def test_results_of_another_backends_runs_travel_by_value(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        from podtask_runner.serialization.pickling import loads

        elsewhere, here = run_of(ONE, backend=object()), run_of(ONE, backend=backend, number="1")
        run = run_of(ADD, TaskFuture(elsewhere), [TaskFuture(here)], backend=backend, wait_for=(elsewhere,))
        cluster.statuses = {run.id: result("1")}
        backend.submit(here)
        backend.submit(run)
        assert len(cluster.posted) == 1
        elsewhere.report(Status(State.COMPLETED, **done(value="7")))
        assert run.wait(SECONDS)
        spec = specs(cluster)[-1]
        assert spec["upstream"] == [needed(cluster, here)]
        assert "waitFor" not in spec
        assert loads(decoded(spec["inputs"]), resolve=lambda ref: ref) == ((7, [here.id]), {})

    def test_a_cache_key_counts_the_values_of_another_backends_runs(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        here = run_of(ONE, backend=backend, number="9")
        backend.submit(here)
        asked = []
        for number, value in enumerate(("7", "8", "7")):
            elsewhere = run_of(ONE, backend=object(), number=str(number))
            task = Task(add, cache_key_fn=task_input_hash)
            arguments = [TaskFuture(elsewhere), [TaskFuture(elsewhere), 1]]
            run = run_of(task, arguments, TaskFuture(here), backend=backend, number=str(number))
            cluster.statuses[run.id] = result("1")
            backend.submit(run)
            elsewhere.report(Status(State.COMPLETED, **done(value=value)))
            assert run.wait(SECONDS)
            asked.append(specs(cluster)[-1]["cache"]["components"]["arguments"])
        assert asked[0] == asked[2] != asked[1]
        assert asked[0]["y"] == "upstream 0", "its place among the upstreams that are named"

    def test_one_that_failed_there_and_may_travels_as_its_exception_and_is_not_cached(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        from podtask_runner.serialization.pickling import loads

        elsewhere = run_of(ONE, backend=object())
        task = Task(add, cache_key_fn=task_input_hash)
        run = run_of(task, [allow_failure(TaskFuture(elsewhere))], backend=backend)
        cluster.statuses = {run.id: result("1")}
        backend.submit(run)
        error = ValueError("boom")
        error.__cause__ = KeyError("why")
        elsewhere.report(Status(State.FAILED, error=ErrorInfo("ValueError", "boom"), **done()), dump_exception(error))
        assert run.wait(SECONDS)
        spec = specs(cluster)[-1]
        assert "upstream" not in spec
        assert spec["cache"] == {
            "uncached": f"Upstream task run '{elsewhere.id}' is Failed; a run whose upstream failed is not cached."
        }
        ((found,), _), _ = loads(decoded(spec["inputs"]))
        assert (repr(found), repr(found.__cause__)) == ("ValueError('boom')", "KeyError('why')")

    def test_a_key_function_is_not_asked_about_an_upstream_that_failed(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        first = run_of(ONE, backend=backend)
        keyed = run_of(Task(add, cache_key_fn=broken_key), allow_failure(TaskFuture(first)), backend=backend)
        cluster.statuses = {keyed.id: result("1")}
        for run in (first, keyed):
            backend.submit(run)
        cluster.tell(first.id, {**ENDED, "state": "Failed"})
        assert keyed.wait(SECONDS)
        assert set(specs(cluster)[-1]["cache"]) == {"uncached"}

    def test_one_that_failed_there_is_an_upstream_that_failed(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        elsewhere = run_of(ONE, backend=object())
        run = run_of(ADD, TaskFuture(elsewhere), backend=backend)
        backend.submit(run)
        elsewhere.report(Status(State.FAILED, **done()))
        assert run.wait(SECONDS)
        assert run.state.name == "NotReady"
        assert cluster.posted == []


class TestLargeThings:
    def test_what_does_not_fit_into_a_taskrun_needs_a_bucket_and_says_so(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        backend.submit(run_of(ADD, os.urandom(INLINE_LIMIT - 1000), backend=backend))
        with pytest.raises(
            Exception, match=r"task 'add' is called with \(64.\d KiB\) .* PODTASK_STORE=s3://.* Or pass less"
        ):
            backend.submit(run_of(ADD, os.urandom(INLINE_LIMIT), backend=backend, number="1"))

    def test_a_large_result_without_a_bucket_names_the_run_the_size_and_both_cures(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        run = run_of(ONE, backend=backend)
        backend.submit(run)
        info = {"digest": "ab" * 32, "size": 3_400_000, "serializer": "cloudpickle", "attempt": 1}
        cluster.tell(run.id, {**ENDED, "result": info})
        assert run.wait(SECONDS)
        said = rf"'{run.name}' \(team/{run.id}\) \(3.2 MiB\) is in .* PODTASK_STORE=.* Or return less"
        with pytest.raises(ResultUnavailable, match=said):
            run.load()

    def test_what_a_status_holds_is_compared_with_its_digest_before_it_is_opened(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        run = run_of(ONE, backend=backend)
        backend.submit(run)
        ended = result("1")
        cluster.tell(run.id, {**ended, "result": {**ended["result"], "value": "2"}})
        assert run.wait(SECONDS)
        with pytest.raises(ResultUnavailable, match="sha256 differs"):
            run.load()


class TestLogs:
    def test_prints_are_shown_before_the_result_is_told(
        self, backend: KubernetesBackend, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "podtask")
        run = run_of(ONE, backend=backend)
        cluster.logs = {f"{run.id}-1": "2026-01-02T03:04:06.000000001Z hello\n2026-01-02T03:04:06.000000002Z world\n"}
        backend.submit(run)
        attempt = {"number": 1, "startedAt": "2026-01-02T03:04:06Z", "outcome": "Completed"}
        cluster.tell(run.id, {**result("1"), "attempts": [attempt]})
        assert run.wait(SECONDS)
        shown = [record for record in caplog.records if record.name == "podtask.task_runs"]
        assert [record.getMessage() for record in shown] == ["hello", "world"]
        assert {vars(record)["task_run_name"] for record in shown} == {run.name}

    def test_the_setting_is_on_or_off(self, cluster: FakeCluster) -> None:
        with pytest.raises(SettingsError, match="PODTASK_REMOTE_LOGS must be on or off, not 'maybe'"):
            KubernetesBackend(Settings(remote_logs="maybe"), api=cluster)  # type: ignore[arg-type]
        KubernetesBackend(Settings(remote_logs="OFF"), api=cluster).close()  # type: ignore[arg-type]


def test_cancel_is_a_patch_of_the_taskrun(backend: KubernetesBackend, cluster: FakeCluster) -> None:
    run = run_of(ONE, backend=backend)
    backend.submit(run)
    run.cancel()
    assert cluster.cancelled == [run.id]


def test_a_cancel_that_is_refused_is_said_and_stops_nothing(
    backend: KubernetesBackend, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(ONE, backend=backend)
    backend.submit(run)
    cluster.refusals = [ClusterRefused("'eve' may not patch taskruns", 403)]
    run.cancel()
    assert f"'{run.name}' goes on, it could not be cancelled: 'eve' may not patch taskruns" in caplog.text


def test_the_namespace_is_the_settings_or_the_contexts(cluster: FakeCluster) -> None:
    for settings, namespace in ((Settings(), "team"), (Settings(namespace="own"), "own")):
        made = KubernetesBackend(settings, api=cluster)  # type: ignore[arg-type]
        made.submit(run_of(ONE, backend=made, number=namespace))
        made.close()
        assert cluster.posted[-1]["metadata"]["namespace"] == namespace


def needed(cluster: FakeCluster, run: Any) -> dict[str, str]:
    """How a TaskRun names another one whose TaskRun is there: the placeholder in the inputs is its name."""
    return {"taskRun": run.id, "uid": cluster.runs[run.id]["metadata"]["uid"]}


def done(value: str | None = None) -> dict[str, Any]:
    from podtask.core import clock
    from podtask.core.api.status import ResultInfo

    info = None
    if value is not None:
        info = ResultInfo(hashlib.sha256(value.encode()).hexdigest(), len(value), "json", value=value)
    return {"finished_at": clock.now(), "result": info}


def decoded(payload: dict[str, Any]) -> bytes:
    import base64

    return base64.b64decode(payload["inline"])
