"""What is refused: at `kubectl apply` by the schema, or as Failed/InvalidSpec with the cure."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest
from tests.cluster.kit import RUNS, World, sentence, task_run, together
from tests.cluster.refused import AT_APPLY, BARE_Y, FULL, NEVER_RUNS, ONE, UNKNOWN_UPSTREAM

from podtask.core.api.spec import MUTABLE, TaskRunSpec
from podtask.core.api.status import camel_case

pytestmark = pytest.mark.cluster

IMMUTABLE = [name for name in map(camel_case, TaskRunSpec.model_fields) if name not in MUTABLE]


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    """The slowest first: an unknown upstream is waited for during its grace time."""
    full = {name: FULL[name][0] for name in IMMUTABLE}
    world.apply(
        UNKNOWN_UPSTREAM,
        task_run("ended", ONE, retries=1),
        task_run("cancelled", ONE, cancel=True),
        {**task_run("full", ONE), "spec": {**full, "suspend": True}},
        task_run("bare", ONE, suspend=True),
        *(manifest for manifest, _, _ in NEVER_RUNS.values()),
    )
    world.kubectl("apply", "--validate=strict", "-f", "-", given=BARE_Y)
    return world


@pytest.fixture(scope="module")
def answers(applied: World) -> dict[str, str]:
    """kubectl's answers to everything it should refuse."""
    tried = {name: functools.partial(applied.apply, manifest) for name, (manifest, _) in AT_APPLY.items()}
    for name in IMMUTABLE:
        old, new = FULL[name]
        tried[f"change of {name}"] = functools.partial(applied.patch, "full", **{name: new})
        if name != "task":
            tried[f"removal of {name}"] = functools.partial(applied.patch, "full", **{name: None})
            tried[f"arrival of {name}"] = functools.partial(applied.patch, "bare", **{name: old})
    return together({name: functools.partial(sentence, call) for name, call in tried.items()})


@pytest.mark.parametrize("what", AT_APPLY)
def test_kubectl_apply_refuses_with_a_sentence(answers: dict[str, str], what: str) -> None:
    assert re.search(AT_APPLY[what][1], answers[what])


@pytest.mark.parametrize("name", IMMUTABLE)
def test_a_field_that_is_immutable_neither_changes_nor_comes_nor_goes(answers: dict[str, str], name: str) -> None:
    said = [answer for what, answer in answers.items() if what.endswith(f" of {name}")]
    assert len(said) == (1 if name == "task" else 3)
    for answer in said:
        assert f"spec.{name} is immutable: create a TaskRun under another name instead" in answer


RENAMES: dict[str, tuple[str, Any]] = {
    "a parameter": ("/spec/parameters", {"y": 1}),
    "a field of the template": ("/spec/podTemplate", {"annotations": {"a": "1"}}),
    "a label of the template": ("/spec/podTemplate", {"labels": {"b": "1"}}),
    "an unknown field of the template": ("/spec/podTemplate", {"hostPID": True}),
    "a parameter within another": ("/spec/parameters", {"x": {"b": 1}}),
}


@pytest.mark.parametrize("what", RENAMES)
def test_a_key_that_is_renamed_is_a_change(applied: World, what: str) -> None:
    path, value = RENAMES[what]
    field = path.rpartition("/")[2]
    patch = json.dumps([{"op": "replace", "path": path, "value": value}])
    answer = sentence(functools.partial(applied.kubectl, "patch", RUNS, "full", "--type=json", "-p", patch))
    assert f"spec.{field} is immutable" in answer
    before, _ = FULL[field]
    assert json.loads(applied.kubectl("get", RUNS, "full", "-o", "json"))["spec"][field] == before


def test_nothing_that_is_open_is_lost_on_the_way(applied: World) -> None:
    """Null, numbers, keys that are no identifiers: stored as they were written, below any key.

    `kubectl apply` itself refuses a null, whatever the schema says: kubectl's own check knows no type for it.
    """
    odd = {"none": None, "n": 2.5, "a-b": [1, {"x": None}], "true": {"deep": {"er": []}}, "": "empty"}
    written = task_run("odd", ONE, suspend=True, parameters=odd)
    applied.kubectl("create", "--validate=false", "-f", "-", given=json.dumps(written))
    assert json.loads(applied.kubectl("get", RUNS, "odd", "-o", "json"))["spec"]["parameters"] == odd


def test_cancel_is_one_way(applied: World) -> None:
    for later in (False, None):
        answer = sentence(functools.partial(applied.patch, "cancelled", cancel=later))
        assert "spec.cancel is one way: a cancelled run stays cancelled" in answer


def test_what_may_change_does(applied: World) -> None:
    applied.patch("bare", ttlSecondsAfterFinished=3600)
    applied.patch("bare", ttlSecondsAfterFinished=None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"finishedAt": None}, "a finished TaskRun never changes its end"),
        ({"finishedAt": "2020-01-01T00:00:00Z"}, "a finished TaskRun never changes its end"),
        ({"state": "Failed"}, "a finished TaskRun never changes its end"),
        ({"result": None}, "a finished TaskRun never changes its end"),
        ({"result": {"digest": "0" * 64}}, "a finished TaskRun never changes its end"),
        ({"attempts": None}, "attempts are appended, never removed"),
        ({"attempts": []}, "attempts are appended, never removed"),
        ({"attemptsTotal": 0}, "attempts are appended, never removed"),
        (None, "a finished TaskRun never changes its end"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) or value is None else "",
)
def test_who_may_write_the_status_still_cannot_rewrite_an_end(applied: World, status: Any, words: str) -> None:
    applied.finished("ended")
    patch = json.dumps({"status": status})
    command = functools.partial(
        applied.kubectl, "patch", RUNS, "ended", "--subresource=status", "--type=merge", "-p", patch
    )
    assert words in sentence(command)


def test_a_judged_attempt_is_not_rewritten(applied: World) -> None:
    attempt = applied.finished("ended")["status"]["attempts"][0]
    patch = json.dumps({"status": {"attempts": [{**attempt, "outcome": "Failed"}]}})
    command = functools.partial(
        applied.kubectl, "patch", RUNS, "ended", "--subresource=status", "--type=merge", "-p", patch
    )
    assert "a judged attempt never changes" in sentence(command)


@pytest.mark.parametrize("what", NEVER_RUNS)
def test_what_no_attempt_could_cure_ends_as_invalid_with_the_cure(applied: World, what: str) -> None:
    manifest, message, cure = NEVER_RUNS[what]
    status = applied.finished(manifest["metadata"]["name"])["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert message in status["message"]
    assert cure in status["error"]["cure"]
    assert status.get("retriesUsed", 0) == 0


def test_a_key_that_yaml_read_as_a_boolean_is_to_be_quoted(applied: World) -> None:
    status = applied.finished("bare-y")["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "YAML read the bare word y, yes, on or true as a boolean" in status["message"]
    assert status["error"]["cure"] == 'Quote the key, for example "y": 1.'


def test_refusals_that_need_no_pod_have_none(applied: World) -> None:
    for name in (
        "host-network",
        "host-path",
        "privileged",
        "fat",
        "python",
        "selfish",
        "egg",
        "hen",
        "amount",
        "bare-y",
    ):
        assert applied.finished(name)
        assert applied.pods_of(name) == []


@pytest.mark.long
def test_an_upstream_that_does_not_come_within_its_grace_time_is_unknown(applied: World) -> None:
    status = applied.finished("orphan", seconds=100)["status"]
    told = [seen.object.get("status", {}) for seen in applied.history if seen.object["metadata"]["name"] == "orphan"]
    assert ("Pending", "WaitingForUpstream") in [(before.get("state"), before.get("reason")) for before in told]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidSpec")
    assert status["message"] == "There is no TaskRun 'nobody' in this namespace."
    assert status["error"]["cure"].startswith("Create the upstream run, or correct its name")
