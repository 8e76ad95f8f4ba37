"""A restarted driver, or a POST whose answer got lost: whose TaskRun is it that has the name already?"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import FakeCluster, result, run_of

from podtask import Task
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.errors import FlowReplayMismatch
from podtask.kube.errors import ClusterRefused

SECONDS = 10.0
"""Bound on waiting for another thread; never reached."""


def add(x: Any, y: Any = 0) -> Any:
    return x + y


ADD = Task(add)


class TestReplay:
    def test_the_run_of_the_same_call_is_followed_further(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        before, again = run_of(ADD, 1, backend=backend), run_of(ADD, 1, backend=backend)
        backend.submit(before)
        backend.submit(again)
        cluster.tell(again.id, result("1"))
        assert again.wait(SECONDS)
        assert len(cluster.posted) == 1
        assert cluster.asked.count("GET") == 1

    def test_a_finished_one_is_taken_at_once(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        before, again = run_of(ADD, 1, backend=backend), run_of(ADD, 1, backend=backend)
        backend.submit(before)
        cluster.tell(before.id, result("5"))
        assert before.wait(SECONDS)
        backend.submit(again)
        assert again.finished
        assert again.load() == 5

    def test_the_run_of_another_call_is_never_taken(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        backend.submit(run_of(ADD, 1, backend=backend))
        other = run_of(ADD, 2, backend=backend)
        with pytest.raises(
            FlowReplayMismatch, match=r"it was task 'add' with call digest \w{12}, created .* asked for is"
        ):
            backend.submit(other)
        assert not other.finished

    def test_one_without_a_digest_is_another_call(self, backend: KubernetesBackend, cluster: FakeCluster) -> None:
        run = run_of(ADD, 1, backend=backend)
        cluster.runs[run.id] = {"metadata": {"name": run.id, "uid": "u", "resourceVersion": "1"}, "spec": {}}
        with pytest.raises(FlowReplayMismatch, match=r"call digest \(none\)"):
            backend.submit(run)

    def test_a_name_that_becomes_free_in_between_is_tried_again(
        self, backend: KubernetesBackend, cluster: FakeCluster
    ) -> None:
        cluster.refusals = [ClusterRefused("taken", 409, "AlreadyExists")]
        backend.submit(run_of(ADD, 1, backend=backend))
        assert cluster.asked[:3] == ["POST", "GET", "POST"]
