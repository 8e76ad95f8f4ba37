"""What a composed key counts: everything that the spec gives to the task, or there is no key."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import DIGEST, SETTINGS, run

from podtask_operator.task_runs.cache_key import composed_key

CACHED: dict[str, Any] = {"cache": {}}
COMPONENTS: dict[str, Any] = {"cache": {"components": {"code": "h1:code", "arguments": {"x": "h1:1"}}}}
FROM_SECRET = {"name": "MODE", "valueFrom": {"secretKeyRef": {"name": "modes", "key": "test"}}}


def key(*specs: dict[str, Any]) -> str | None:
    merged: dict[str, Any] = {}
    for spec in specs:
        merged.update(spec)
    return composed_key(run(merged), {}, SETTINGS).key


def env(*variables: dict[str, Any]) -> dict[str, Any]:
    return {"env": list(variables)}


@pytest.mark.parametrize("how", [CACHED, COMPONENTS], ids=["source", "components"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, env({"name": "MODE", "value": "test"})),
        (env({"name": "MODE", "value": "test"}), env({"name": "MODE", "value": "prod"})),
        (env({"name": "MODE", "value": "test"}), env({"name": "MODES", "value": "test"})),
        (env({"name": "MODE", "value": ""}), env({"name": "MODE"})),
        (env(FROM_SECRET), env({"name": "MODE", "value": "test"})),
        (env(FROM_SECRET), env({"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "modes", "key": "test"}}})),
        (env({"name": "A", "value": "1"}, {"name": "A", "value": "2"}), env({"name": "A", "value": "1"})),
        ({}, {"podTemplate": {"envFrom": [{"configMapRef": {"name": "modes"}}]}}),
        (
            {"podTemplate": {"envFrom": [{"configMapRef": {"name": "modes"}}]}},
            {"podTemplate": {"envFrom": [{"secretRef": {"name": "modes"}}]}},
        ),
    ],
)
def test_another_environment_is_another_key(how: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> None:
    keys = [key(how, one), key(how, other)]
    assert None not in keys
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "opaque",
    [
        {"inputs": {"inline": "aGVsbG8="}},
        {"inputs": {"digest": DIGEST, "size": 5}},
        {"files": [{"digest": DIGEST, "size": 5}]},
    ],
)
def test_of_what_is_opaque_no_key_is_made_and_the_reason_says_what_to_do(opaque: dict[str, Any]) -> None:
    composed = composed_key(run({**CACHED, **opaque}), {}, SETTINGS)
    assert composed.key is None
    assert composed.off_reason is not None
    assert "cache.key" in composed.off_reason
    assert key(COMPONENTS, opaque) is not None  # the SDK says what its inputs are
    assert key({"cache": {"key": "own"}}, opaque) == "own"


def test_without_an_environment_keys_are_what_they_were() -> None:
    assert key(COMPONENTS) == key(COMPONENTS, {"env": []}) == key(COMPONENTS, {"podTemplate": {"labels": {"a": "1"}}})


def test_what_is_no_part_of_the_task_is_no_part_of_the_key() -> None:
    assert key(CACHED) == key(CACHED, {"retries": 3, "tags": ["a"], "resources": {"limits": {"memory": "1Gi"}}})


WITH_X: dict[str, Any] = {"parameters": {"x": 1, "label": "a"}}


def asking(**cache: Any) -> dict[str, Any]:
    return {"cache": cache}


def test_parameters_that_are_left_out_do_not_count() -> None:
    without = key(WITH_X, asking(ignore=["label"]))
    assert without == key({"parameters": {"x": 1}}, CACHED)
    assert without == key({"parameters": {"x": 1, "label": "b"}}, asking(ignore=["label", "absent"]))
    assert without not in {key(WITH_X, CACHED), key({"parameters": {"x": 2}}, asking(ignore=["label"]))}


def test_what_is_added_counts_apart_from_parameters_of_that_name() -> None:
    keys = [key(WITH_X, asking(add=added)) for added in ({}, {"y": "1"}, {"y": "2"}, {"z": "1"})]
    assert len(set(keys)) == 4
    assert key({"parameters": {"x": 1}}, asking(add={"y": "1"})) != key({"parameters": {"x": 1, "y": "1"}}, CACHED)
    taken = composed_key(run({"parameters": {"added:y": "1"}, **asking(add={"y": "1"})}), {}, SETTINGS)
    assert taken.key is None
    assert taken.off_reason is not None
    assert "added:" in taken.off_reason


@pytest.mark.parametrize("components", [{}, {"components": {"code": "h1:code"}}], ids=["source", "components"])
def test_the_result_of_an_upstream_that_is_left_out_needs_no_hash(components: dict[str, Any]) -> None:
    upstream = {"upstream": [{"taskRun": "one", "parameter": "x"}, {"taskRun": "two"}]}
    asked = run({**upstream, **asking(ignore=["x", "upstream 1"], **components)})
    assert composed_key(asked, {"one": None, "two": None}, SETTINGS).key == key(asking(**components))
    half = run({**upstream, **asking(ignore=["x"], **components)})
    assert composed_key(half, {"one": None, "two": None}, SETTINGS).key is None
