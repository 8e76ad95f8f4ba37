"""What the operator holds of the cluster: newer wins, a namesake is another object, and nobody waits for the gone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import UID, pod, run_object

from podtask.core.api.names import Reason
from podtask.core.lifecycle.concurrency import Limits, Slots
from podtask_operator.controller.cluster_cache import ClusterCache
from podtask_operator.events.intake import Intake
from podtask_operator.ownership.mark import Mark, Standing
from podtask_operator.pods import status as podstatus
from podtask_operator.task_runs.key import Key

KEY = Key("team", "hello")
FINISHED = {"state": "Completed", "finishedAt": "2026-01-02T04:00:00Z"}


def made(name: str = "hello", version: int = 7, uid: str = UID, **more: Any) -> dict[str, Any]:
    """A TaskRun of some version; `spec` and `status` among `more`."""
    metadata = {"resourceVersion": str(version), "uid": uid}
    return run_object(more.get("spec"), name=name, status=more.get("status"), metadata=metadata)


def needing(name: str, version: int = 7, **more: Any) -> dict[str, Any]:
    """A TaskRun that needs `hello`."""
    return made(name, version, uid=f"uid-{name}", spec={"waitFor": [{"taskRun": "hello"}]}, **more)


def claiming(name: str, version: int = 7, **status: Any) -> dict[str, Any]:
    """A TaskRun whose first attempt for the cache key `k` is recorded."""
    attempts = [{"number": 1, "cause": "First", "recordedAt": "2026-01-02T03:05:00Z"}]
    known = {"attempts": attempts, "attemptsTotal": 1, "cache": {"key": "k", "outcome": "Miss"}, **status}
    return made(name, version, uid=f"uid-{name}", spec={"cache": {"key": "k"}}, status=known)


def test_the_log_names_a_run_that_cannot_be_read_once_for_each_version(caplog: pytest.LogCaptureFixture) -> None:
    cluster = ClusterCache()
    for version in (7, 7, 8):
        cluster.put_run(made(version=version, spec={"retries": "many"}))
    assert len(caplog.messages) == 2
    assert all("team/hello is left alone" in line and "retries" in line for line in caplog.messages)


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cluster = ClusterCache()
    assert cluster.put_run(made(version=10, status=FINISHED)) == KEY
    assert cluster.put_run(made(version=9)) is None
    assert cluster.put_run(made(version=10)) is None
    assert cluster.runs[KEY].status.finished


def test_an_answer_about_the_deleted_namesake_does_not_bring_it_back() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(version=20, uid="new"))
    assert cluster.put_run(made(version=10, uid="old")) is None
    assert cluster.runs[KEY].uid == "new"


def test_a_late_deletion_of_the_old_namesake_leaves_the_new_one_alone() -> None:
    cluster, woken = ClusterCache(), []
    intake = Intake(cluster, woken.append)
    intake.task_run({"type": "ADDED", "object": made(version=20, uid="new")})
    intake.task_run({"type": "DELETED", "object": made(version=19, uid="old")})
    assert cluster.runs[KEY].uid == "new"
    assert woken == [KEY, KEY]


def test_a_new_namesake_starts_without_what_was_expected_of_the_old_one() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(version=7))
    cluster.expectations.of(KEY, UID).recording(1, None, "7")
    cluster.put_run(made(version=8, uid="new"))
    assert not cluster.expectations.of(KEY, "new").expected.claimed


def test_who_waits_is_named_when_what_it_needs_ends_or_goes_and_leaves_no_trace_when_it_ends_itself() -> None:
    cluster = ClusterCache()
    cluster.put_run(made())
    cluster.put_run(needing("next"))
    assert cluster.concerned(KEY) == [Key("team", "next")]
    assert cluster.forget_run(KEY, UID) == [Key("team", "next")]
    cluster.put_run(needing("next", 8, status=FINISHED))
    assert cluster.concerned(KEY) == []
    assert not cluster._needs


def test_a_finished_run_that_stayed_because_it_was_needed_is_named_when_the_one_that_needed_it_ends() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(status=FINISHED))
    cluster.put_run(needing("next"))
    cluster.put_run(needing("next", 8, status=FINISHED))
    assert cluster.concerned(Key("team", "next")) == [KEY]


def test_who_leads_the_race_for_a_cache_key_is_known_from_its_status_as_after_a_restart() -> None:
    cluster = ClusterCache()
    cluster.put_run(claiming("leader"))
    assert cluster.expectations.races.first(KEY, "k") == Key("team", "leader")


def test_the_others_of_the_race_are_named_when_the_leader_is_deleted() -> None:
    cluster = ClusterCache()
    cluster.put_run(claiming("leader"))
    cluster.put_run(made(spec={"cache": {"key": "k"}}))
    cluster.expectations.of(KEY, UID).join("k")
    assert cluster.expectations.races.first(KEY, "k") == Key("team", "leader")
    assert cluster.forget_run(Key("team", "leader")) == [KEY]
    cluster.forget_run(KEY)
    assert len(cluster.expectations.races) == 0


def test_a_pod_that_took_the_name_of_a_deleted_one_stays() -> None:
    cluster = ClusterCache()
    assert cluster.put_pod(pod(metadata={"uid": "new", "resourceVersion": "20"})) == KEY
    assert cluster.put_pod(pod(metadata={"uid": "old", "resourceVersion": "10"})) is None
    cluster.forget_pod(pod(metadata={"uid": "old", "resourceVersion": "11"}))
    assert cluster.pods[Key("team", "hello-1")]["metadata"]["uid"] == "new"


def test_a_run_that_becomes_unreadable_is_reported_and_no_longer_acted_on_until_it_is_readable() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(version=7))
    assert cluster.put_run(made(version=8, spec={"retries": "many"})) is None
    assert KEY in cluster.malformed
    assert KEY not in cluster.runs
    assert cluster.put_run(made(version=9)) == KEY
    assert not cluster.malformed


def test_payloads_are_not_kept() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(spec={"inputs": {"inline": "QUJD"}, "task": {"code": {"inline": "QUJD"}}}))
    held = cluster.runs[KEY].spec
    assert held.task.code is not None
    assert (held.task.code.inline, held.inputs and held.inputs.inline) == (None, None)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.sampled_from(["task", "inputs", "cache", "upstream", "waitFor", "env", "tags", "podTemplate", "retries"]), ODD
)
def test_a_spec_of_odd_types_is_either_read_or_malformed_and_never_an_error(field: str, value: Any) -> None:
    cluster = ClusterCache()
    cluster.put_run({**made(), "spec": {"task": {"source": "def main(): pass"}, field: value}})
    assert (KEY in cluster.runs) != (KEY in cluster.malformed)


@pytest.mark.parametrize("part", ["spec", "status"])
@given(value=ODD)
def test_parts_of_odd_types_are_never_an_error(part: str, value: Any) -> None:
    ClusterCache().put_run({**made(), part: value})


@given(metadata=st.dictionaries(st.sampled_from(["labels", "ownerReferences", "generation"]), ODD), status=ODD)
def test_pods_of_odd_types_are_never_an_error(metadata: Mapping[str, Any], status: Any) -> None:
    ClusterCache().put_pod({**pod(metadata=metadata), "status": status})


def test_an_event_that_cannot_be_read_at_all_does_not_end_the_watch() -> None:
    woken: list[Key] = []
    intake = Intake(ClusterCache(), woken.append)
    intake.task_run({"type": "ADDED", "object": {"metadata": None}})
    intake.pod({"type": "ADDED", "object": []})
    intake.task_run({"type": "ADDED", "object": made()})
    assert woken == [KEY]


def test_an_update_of_a_pod_that_tells_nothing_wakes_nobody() -> None:
    cluster, ip = ClusterCache(), {"podIP": "10.0.0.7", "conditions": [{"type": "Initialized", "status": "True"}]}
    assert cluster.put_pod(pod(metadata={"resourceVersion": "10"}, status={"phase": "Pending"})) == KEY
    assert cluster.put_pod(pod(metadata={"resourceVersion": "11"}, status={"phase": "Pending", **ip})) is None
    assert cluster.pods[Key("team", "hello-1")]["metadata"]["resourceVersion"] == "11"
    assert cluster.put_pod(pod(metadata={"resourceVersion": "12"}, status={"phase": "Running", **ip})) == KEY


def test_a_pod_that_was_deleted_while_it_ran_stays_so_when_the_kubelet_deletes_it_again_after_its_end() -> None:
    """As the kubelet does, without grace: seen with 1.35."""
    cluster, ended = ClusterCache(), {"terminated": {"exitCode": 137, "finishedAt": "2026-01-02T03:05:09Z"}}
    asked = {"deletionTimestamp": "2026-01-02T03:05:07Z", "deletionGracePeriodSeconds": 5}
    again = {"deletionTimestamp": "2026-01-02T03:05:12Z", "deletionGracePeriodSeconds": 0}
    cluster.put_pod(pod({"phase": "Running"}, state={"running": {}}, metadata={"resourceVersion": "10", **asked}))
    cluster.put_pod(pod({"phase": "Failed"}, state=ended, metadata={"resourceVersion": "11", **again}))
    found = podstatus.read(cluster.pods[Key("team", "hello-1")]).disruption
    assert found is not None
    assert found.reason is Reason.POD_DELETED


def test_the_last_of_those_that_need_it_wakes_a_finished_run() -> None:
    cluster = ClusterCache()
    cluster.put_run(made(status=FINISHED))
    for name in ("one", "two"):
        cluster.put_run(needing(name))
    cluster.put_run(needing("one", 8, status=FINISHED))
    assert (cluster.concerned(Key("team", "one")), cluster.needed(KEY)) == ([], True)
    cluster.forget_run(Key("team", "two"))
    assert cluster.unheard() == [KEY]
    assert (cluster.unheard(), cluster.needed(KEY)) == ([], False)


def test_those_that_wait_for_a_run_that_becomes_unreadable_are_told() -> None:
    cluster = ClusterCache()
    cluster.put_run(made())
    cluster.put_run(needing("next"))
    broken = made(version=9)
    broken["spec"]["retries"] = "many"
    cluster.put_run(broken)
    assert cluster.unheard() == [Key("team", "next")]


def test_the_end_of_one_costs_the_same_however_many_need_the_same_upstream() -> None:
    costs = []
    for count in (100, 1000):
        cluster = ClusterCache()
        cluster.put_run(made(status=FINISHED))
        for number in range(count):
            cluster.put_run(needing(f"n{number}"))
        lines = 0

        def trace(frame: Any, event: str, _: Any) -> Any:
            nonlocal lines
            if not frame.f_code.co_filename.endswith("cluster_cache.py"):
                return None
            lines += event == "line"
            return trace

        ends = needing("n7", 8, status=FINISHED)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            cluster.put_run(ends)
            cluster.concerned(Key("team", "n7"))
            cluster.needed(KEY)
        finally:
            sys.settrace(before)
        costs.append(lines)
    assert costs[0] == costs[1]


def test_what_another_release_runs_holds_no_slot_of_this_one() -> None:
    cluster, following = ClusterCache(slots=Slots(Limits.read({"namespace": {"default": 1}}))), Key("team", "next")
    cluster.put_run(claiming("hello"))
    cluster.put_run(made("next", uid="uid-next"))
    assert [limit.held for limit in cluster.limits(following, cluster.runs[following])] == [1]
    cluster.served.put("team", Mark(Standing.OTHERS, "b/other"))
    cluster.put_run(claiming("hello", 8))
    assert [limit.held for limit in cluster.limits(following, cluster.runs[following])] == [0]


def test_a_record_that_may_still_be_taken_keeps_its_slot() -> None:
    cluster = ClusterCache(slots=Slots(Limits.read({"namespace": {"default": 1}})))
    for name in ("hello", "next"):
        cluster.put_run(made(name, uid=f"uid-{name}"))
    run, following = cluster.runs[KEY], Key("team", "next")
    cluster.expectations.of(KEY, run.uid).recording(1, None, run.resource_version)
    cluster.recording(KEY, run)
    cluster.owner_changed("team")
    assert [limit.held for limit in cluster.limits(following, cluster.runs[following])] == [1]
