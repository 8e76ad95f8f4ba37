"""What ends a run before any pod: one sentence per case, each with a cure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import DIGEST, PINNED, SETTINGS, run

from podtask.core.api.names import Reason
from podtask_operator.pods.validate import invalid
from podtask_operator.task_runs.held import OPEN_LIMITS

PARAMETERS_LIMIT = OPEN_LIMITS["parameters"]
ENTRYPOINT = {"task": {"entrypoint": "pkg.mod:main"}}
SHIPPED = {"digest": DIGEST, "size": 9}

FINE: dict[str, dict[str, Any]] = {
    "inline source alone": {},
    "parameters of exactly 32 KiB": {"parameters": {"a": "x" * (PARAMETERS_LIMIT - len('{"a":""}'))}},
    "data that has true and false as nested keys": {"parameters": {"table": {"true": 1, "false": 2}}},
    "an upstream for a parameter that is not given": {
        "parameters": {"a": 1},
        "upstream": [{"taskRun": "other", "parameter": "b"}],
    },
    "one upstream for two parameters": {
        "upstream": [{"taskRun": "other", "parameter": "a"}, {"taskRun": "other", "parameter": "b"}]
    },
    "an upstream by placeholder": {"inputs": SHIPPED, "upstream": [{"taskRun": "other", "ref": "r1"}]},
    "an upstream whose placeholder is its name": {"inputs": SHIPPED, "upstream": [{"taskRun": "other"}]},
    "a run that is named twice with one UID": {
        "inputs": SHIPPED,
        "upstream": [{"taskRun": "other", "uid": "u"}, {"taskRun": "other"}],
        "waitFor": [{"taskRun": "other", "uid": "u"}, {"taskRun": "another", "uid": "v"}],
    },
    "waiting for another run": {"waitFor": [{"taskRun": "other"}]},
    "a minor without runner image, with an image of one's own": {
        "task": {"source": "x", "python": "3.13"},
        "image": "own:1",
    },
    "a minor with a runner image": {"task": {"source": "x", "python": "3.10"}},
    "quantities as numbers and as texts": {
        "resources": {"requests": {"cpu": 2, "memory": "1.5Gi"}, "limits": {"memory": "2e9", "example.com/gpu": "1"}}
    },
    "growth from a limit": {"onOutOfMemory": {"maxMemory": "2Gi"}, "resources": {"limits": {"memory": "1Gi"}}},
    "growth from a request alone": {
        "onOutOfMemory": {"maxMemory": 2**31},
        "resources": {"requests": {"memory": "1Gi"}},
    },
    "a cached source": {"cache": {}},
    "a cached entrypoint in a pinned image": {**ENTRYPOINT, "cache": {}, "image": PINNED},
    "a cached entrypoint with a key": {**ENTRYPOINT, "cache": {"key": "k"}},
    "an entrypoint that is not cached, and the caller said why": {**ENTRYPOINT, "cache": {"uncached": "no form"}},
    "an entrypoint without cache": ENTRYPOINT,
    "environment by value and by reference": {
        "env": [
            {"name": "A", "value": ""},
            {"name": "my.var-1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]
    },
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "parameters and pickled inputs": ({"parameters": {}, "inputs": SHIPPED}, "both given"),
    "parameters over 32 KiB": (
        {"parameters": {"a": "x" * (PARAMETERS_LIMIT - len('{"a":""}') + 1)}},
        "has 32769 bytes as JSON",
    ),
    "parameters over 32 KiB in bytes but not in characters": ({"parameters": {"a": "é" * 20000}}, "bytes as JSON"),
    "a podTemplate over 64 KiB": (
        {"podTemplate": {"annotations": {"a": "x" * 65536}}},
        "spec.podTemplate has 65560 bytes as JSON; at most 65536 are allowed.",
    ),
    "a bare y as key, as kubectl sends it": ({"parameters": {"true": 1}}, "the bare word y, yes, on or true"),
    "a bare no as key, as kubectl sends it": ({"parameters": {"x": 0, "false": 1}}, "the bare word n, no, off or"),
    "a parameter that an upstream gives, too": (
        {"parameters": {"a": 1}, "upstream": [{"taskRun": "other", "parameter": "a"}]},
        "Parameter 'a' is given twice: by spec.parameters and by the upstream other",
    ),
    "two upstreams for one parameter": (
        {"upstream": [{"taskRun": "one", "parameter": "a"}, {"taskRun": "two", "parameter": "a"}]},
        "by the upstream one and by the upstream two",
    ),
    "an upstream that goes nowhere": ({"upstream": [{"taskRun": "other"}]}, "would go nowhere"),
    "one name for two runs": (
        {
            "upstream": [{"taskRun": "other", "uid": "u", "parameter": "a"}],
            "waitFor": [{"taskRun": "other", "uid": "v"}],
        },
        "TaskRun 'other' is named with two UIDs in spec.upstream and spec.waitFor.",
    ),
    "an upstream in another namespace": (
        {"upstream": [{"taskRun": "../../other/taskruns/run", "parameter": "a"}]},
        "spec.upstream[0].taskRun '../../other/taskruns/run' is not the name of a TaskRun",
    ),
    "waiting for a namespace and a name": ({"waitFor": [{"taskRun": "held/hello"}]}, "spec.waitFor[0].taskRun"),
    "waiting for a question": ({"waitFor": [{"taskRun": "ok"}, {"taskRun": "asb?x=1"}]}, "spec.waitFor[1].taskRun"),
    "waiting for a name with a line below it": ({"waitFor": [{"taskRun": "hello\n"}]}, "spec.waitFor[0].taskRun"),
    "inputs that are not base64": ({"inputs": {"inline": "aGk"}}, "spec.inputs.inline is not base64"),
    "code that is not base64": ({"task": {"code": {"inline": "é"}}}, "spec.task.code.inline is not base64"),
    "itself as upstream": ({"upstream": [{"taskRun": "hello", "parameter": "a"}]}, "waits for itself"),
    "itself in waitFor": ({"waitFor": [{"taskRun": "hello"}]}, "waits for itself"),
    "a minor without runner image": (
        {"task": {"source": "x", "python": "3.9"}},
        "no runner image for Python 3.9; have 3.10, 3.11",
    ),
    "a field outside the allow-list": (
        {"podTemplate": {"hostNetwork": True}},
        "spec.podTemplate.hostNetwork is not allowed; allowed are labels, annotations",
    ),
    "memory in MB": ({"resources": {"limits": {"memory": "512MB"}}}, "limits.memory is '512MB'"),
    "a negative request": ({"resources": {"requests": {"cpu": -1}}}, "requests.cpu is '-1'"),
    "growth to something that is no quantity": (
        {"onOutOfMemory": {"maxMemory": "2GB"}, "resources": {"limits": {"memory": "1Gi"}}},
        "spec.onOutOfMemory.maxMemory is '2GB'",
    ),
    "growth from nothing": ({"onOutOfMemory": {"maxMemory": "2Gi"}}, "no amount of memory to start from"),
    "growth without room": (
        {"onOutOfMemory": {"maxMemory": "1Gi"}, "resources": {"limits": {"memory": "1Gi"}}},
        "maxMemory (1Gi) leaves no room above the memory it starts with (1Gi)",
    ),
    "a variable of ours": ({"env": [{"name": "PODTASK_ATTEMPT", "value": "9"}]}, "reserved"),
    "a variable with a blank": ({"env": [{"name": "A B", "value": "9"}]}, "spec.env[0].name 'A B'"),
    "a variable with two values": (
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        "both value and valueFrom",
    ),
    "a variable from a source we do not know": (
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
        "exactly one of secretKeyRef",
    ),
    "a cached entrypoint in the runner image": ({**ENTRYPOINT, "cache": {}}, "not pinned by a digest"),
    "a cached entrypoint in a tagged image": ({**ENTRYPOINT, "cache": {}, "image": "own:latest"}, "'own:latest'"),
}


@pytest.mark.parametrize("spec", FINE.values(), ids=FINE.keys())
def test_accepts(spec: dict[str, Any]) -> None:
    assert invalid(run(spec), SETTINGS) is None


@pytest.mark.parametrize(("spec", "words"), WRONG.values(), ids=WRONG.keys())
def test_refuses_with_a_sentence_and_a_cure(spec: dict[str, Any], words: str) -> None:
    why = invalid(run(spec), SETTINGS)
    assert why is not None
    assert why.reason is Reason.INVALID_SPEC
    assert words in why.message
    assert why.message.endswith(".")
    assert why.cure
    assert why.cure.endswith(".")


def test_never_reads_the_users_source() -> None:
    assert invalid(run({"task": {"source": "def main(:"}}), SETTINGS) is None


def test_the_size_is_that_of_compact_json() -> None:
    parameters = {"a": [1, 2, {"b": None}]}
    padded = {**parameters, "pad": "x" * (PARAMETERS_LIMIT - len(json.dumps(parameters, separators=(",", ":"))) - 9)}
    assert len(json.dumps(padded, separators=(",", ":"))) == PARAMETERS_LIMIT
    assert invalid(run({"parameters": padded}), SETTINGS) is None
