"""A TaskRun is parsed once; a poison object is one kind of error with one sentence."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import UID, run, run_object

from podtask.core.api.names import Ended, State
from podtask.core.api.status import Status
from podtask.core.lifecycle.model import CachePolicy, Policy
from podtask_operator.task_runs.parse import Malformed, TaskRun, policy


def test_reads_identity_spec_and_status() -> None:
    found = run(
        {"retries": 2},
        metadata={"labels": {"a": "b"}, "deletionTimestamp": "2026-01-02T03:04:05Z"},
        status={
            "state": "Running",
            "attemptsTotal": 1,
            "attempts": [
                {"number": 1, "podUID": "u", "outcome": "Failed", "recordedAt": "2026-01-02T03:04:05.123456Z"}
            ],
            "conditions": [{"type": "Finished"}],
            "aFieldOfALaterVersion": 1,
        },
    )
    assert (found.name, found.namespace, found.uid, found.generation) == ("hello", "team", UID, 1)
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert found.deleting
    assert found.labels == {"a": "b"}
    assert found.annotations == {}
    assert found.spec.retries == 2
    assert found.status.state is State.RUNNING
    assert found.status.latest is not None
    assert found.status.latest.outcome is Ended.FAILED
    assert found.status.latest.pod_uid == "u"


def test_a_new_object_has_an_empty_status() -> None:
    assert run().status == Status()
    assert not run().deleting


def without(*path: str) -> dict[str, Any]:
    made = run_object()
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return made


POISON: dict[str, tuple[Any, str]] = {
    "not an object": ([], "A TaskRun is not an object."),
    "no metadata": (without("metadata"), "TaskRun ?/? cannot be read: metadata: "),
    "no uid": (without("metadata", "uid"), "TaskRun team/hello cannot be read: metadata.uid: Field required."),
    "no spec": (without("spec"), "TaskRun team/hello cannot be read: spec: "),
    "no task": (without("spec", "task"), "spec.task: Field required."),
    "retries in words": (run_object({"retries": "many"}), "spec.retries: Input should be a valid integer"),
    "an upstream without name": (run_object({"upstream": [{}]}), "spec.upstream[0].taskRun: Field required."),
    "labels that are numbers": (run_object(metadata={"labels": {"a": 1}}), "metadata.labels.a: "),
    "a state of its own": (run_object(status={"state": "Happy"}), "status.state: "),
    "attempts that are one": (run_object(status={"attempts": {"number": 1}}), "status.attempts: "),
    "a time without zone": (
        run_object(status={"startedAt": "2026-01-02T03:04:05"}),
        "status has a time without a time zone.",
    ),
    "such a time deep inside": (
        run_object(status={"attempts": [{"number": 1, "startedAt": "2026-01-02T03:04:05"}]}),
        "status has a time without a time zone.",
    ),
    "created without zone": (
        run_object(metadata={"creationTimestamp": "2026-01-02T03:04:05"}),
        "metadata.creationTimestamp: ",
    ),
}


@pytest.mark.parametrize(("obj", "sentence"), POISON.values(), ids=POISON.keys())
def test_a_malformed_object_is_named_in_a_sentence(obj: Any, sentence: str) -> None:
    with pytest.raises(Malformed) as caught:
        TaskRun.parse(obj)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_policy_is_what_the_spec_asks() -> None:
    asked = run(
        {
            "retries": 3,
            "retryDelaySeconds": [1, 2.5],
            "retryJitterFactor": 0.5,
            "maxDisruptions": 1,
            "timeoutSeconds": 60,
            "pendingTimeoutSeconds": 30,
            "suspend": True,
            "cancel": True,
            "ttlSecondsAfterFinished": 0,
            "cache": {"expirationSeconds": 9, "refresh": True, "onConcurrent": "Run"},
            "podTemplate": {"terminationGracePeriodSeconds": 60},
        }
    )
    assert policy(asked) == Policy(
        retries=3,
        retry_delays=(1, 2.5),
        retry_jitter=0.5,
        max_disruptions=1,
        timeout_seconds=60,
        pending_timeout_seconds=30,
        grace_seconds=40,
        suspend=True,
        cancel=True,
        ttl_seconds=0,
        cache=CachePolicy(expiration_seconds=9, refresh=True, wait_for_concurrent=False),
    )
    assert policy(run()) == Policy()


def test_times_beyond_the_calendar_mean_for_ever() -> None:
    asked = policy(run({"ttlSecondsAfterFinished": 10**18, "cache": {"expirationSeconds": 1e300}}))
    assert asked.cache is not None
    for seconds in (asked.ttl_seconds, asked.cache.expiration_seconds):
        assert seconds is not None
        assert run().created_at + timedelta(seconds=seconds) > datetime(2100, 1, 1, tzinfo=timezone.utc)


def test_policy_leaves_a_malformed_template_to_validate() -> None:
    assert policy(run({"podTemplate": {"hostNetwork": True}})).grace_seconds == 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
WRONG = st.dictionaries(
    st.sampled_from(["task", "parameters", "upstream", "retries", "env", "cache", "podTemplate", "timeoutSeconds"]),
    JSON,
)


@given(WRONG, st.none() | JSON | st.dictionaries(st.sampled_from(["attempts", "state", "finishedAt"]), JSON))
def test_whatever_comes_is_a_run_or_malformed(spec: dict[str, Any], status: Any) -> None:
    made = {**run_object(spec), "status": status}
    said = ""
    try:
        policy(TaskRun.parse(made))
    except Malformed as refusal:
        said = str(refusal)
    assert not said or said.startswith("TaskRun team/hello cannot be read: ")
