"""The digest of what has no schema: any change of parameters or podTemplate is seen, and nothing else is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.support.builders import run
from tests.support.operator_world import World, reconciling

from podtask.core.storage.layout import secret_key
from podtask_operator.controller.work_queue import Later
from podtask_operator.task_runs.open_fields import changed, digest
from podtask_runner.protocol import Error, Outcome, Verdict, dump_outcome

BEFORE: dict[str, Any] = {"parameters": {"name": "ada", "n": 1}, "podTemplate": {"labels": {"a": "1"}}}
CHANGES: dict[str, dict[str, Any]] = {
    "a value": {"parameters": {"name": "eve", "n": 1}},
    "a key": {"parameters": {"who": "ada", "n": 1}},
    "a key that goes": {"parameters": {"name": "ada"}},
    "a type": {"parameters": {"name": "ada", "n": "1"}},
    "no parameters": {"parameters": None},
    "a label's key": {"podTemplate": {"labels": {"b": "1"}}},
    "a field of the template": {"podTemplate": {"annotations": {"a": "1"}}},
    "no template": {"podTemplate": None},
    "what moves from one to the other": {"parameters": {"labels": {"a": "1"}}, "podTemplate": {"name": "ada", "n": 1}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_is_seen(change: dict[str, Any]) -> None:
    assert changed(digest(run(BEFORE).spec), run({**BEFORE, **change}).spec)


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"n": 1, "name": "ada"}},  # in another order
        {"suspend": True},
        {"retries": 3, "tags": ["a"]},
    ],
)
def test_nothing_else_is_seen(other: dict[str, Any]) -> None:
    assert not changed(digest(run(BEFORE).spec), run({**BEFORE, **other}).spec)


def test_without_either_there_is_a_digest_all_the_same() -> None:
    assert not changed(digest(run().spec), run({"parameters": None}).spec)
    assert changed(digest(run().spec), run({"parameters": {}}).spec)


@pytest.mark.parametrize("recorded", [None, "", "d2:" + "0" * 64, "0" * 64])
def test_what_another_operator_wrote_is_not_compared(recorded: str | None) -> None:
    assert not changed(recorded, run(BEFORE).spec)


def test_texts_that_are_no_unicode_have_a_digest() -> None:
    assert digest(run({"parameters": {"x": "\ud800"}}).spec).startswith("d1:")


@reconciling
async def test_it_is_written_with_the_record_of_the_first_attempt(world: World) -> None:
    world.add("hello", BEFORE)
    await world.look("hello")
    assert world.status("hello")["specDigest"] == digest(run(BEFORE).spec)


@reconciling
async def test_no_pod_starts_with_parameters_that_changed_between_the_record_and_the_launch(world: World) -> None:
    world.add("hello", {**BEFORE, "retries": 3})
    world.api.lost.add("status")  # so that the launch is a later look's
    with pytest.raises(Later):
        await world.look("hello")
    world.cluster.put_run(world.api.touch("hello", parameters={"who": "ada", "n": 1}))
    await world.look("hello")
    await world.look("hello")
    assert world.api.pods == {}
    assert world.status("hello")["state"] == "Failed"
    assert world.status("hello")["reason"] == "InvalidSpec"
    assert "was changed since the first attempt" in world.status("hello")["message"]


@reconciling
async def test_parameters_that_change_after_the_record_do_not_reach_the_pod_of_that_record(world: World) -> None:
    world.add("hello", BEFORE)
    patch_status = world.api.patch_status

    async def and_then_somebody_patches(namespace: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        answer = await patch_status(namespace, name, patch)
        world.api.touch("hello", parameters={"who": "ada", "n": 1})
        return answer

    world.api.patch_status = and_then_somebody_patches  # type: ignore[method-assign]
    await world.look("hello")
    (secret,) = world.api.secrets.values()
    assert json.loads(base64.b64decode(secret["data"][secret_key(1)]))["parameters"] == BEFORE["parameters"]


@reconciling
async def test_no_second_attempt_runs_with_other_parameters_than_the_first(world: World) -> None:
    world.add("hello", {**BEFORE, "retries": 3, "cache": {"key": "k"}})
    await world.look("hello")
    message = dump_outcome(Outcome(Verdict.FAILED, error=Error("ValueError", "boom"))).decode()
    ended = {"name": "task", "state": {"terminated": {"exitCode": 1, "message": message}}}
    world.api.pods["hello-1"]["status"] = {"phase": "Failed", "containerStatuses": [ended]}
    world.cluster.put_run(world.api.touch("hello", parameters={"who": "ada", "n": 1}))
    world.cluster.forget_pod(world.api.pods["hello-1"])
    world.cluster.put_pod(world.api.pods["hello-1"])
    await world.look("hello")
    await world.look("hello")
    assert list(world.api.pods) == ["hello-1"]
    assert world.status("hello")["state"] == "Failed"
    assert "was changed since the first attempt" in world.status("hello")["message"]
