"""Manifests that are refused, with the words a person reads: the tables of `test_refusals`."""

from __future__ import annotations

import base64
from typing import Any

from tests.cluster.kit import Object, task_run

ONE = "def main():\n    return 1\n"
NEEDS = "def main(rows, limit=10):\n    return rows\n"
LARGE = base64.b64encode(bytes(65539)).decode()
BAD_CODE = "import math\n\ndef main():\n    return math.sqrt(2\n"
TWO_FUNCTIONS = "def load():\n    return 1\n\ndef store():\n    return 2\n"


def bare(name: str, **spec: Any) -> Object:
    manifest = task_run(name, ONE)
    return {**manifest, "spec": spec}


# kubectl checks types and names itself or lets the server do it, in other words.
AT_APPLY: dict[str, tuple[Object, str]] = {
    "no code": (bare("no-code", task={}), "give exactly one of source, entrypoint and code"),
    "no task": (bare("no-task"), r"spec.*required.*task|spec\.task: Required value"),
    "two kinds of code": (
        task_run("two", ONE, task={"entrypoint": "math:sqrt"}),
        "give exactly one of source, entrypoint and code",
    ),
    "a payload without bytes": (
        bare("empty", task={"code": {"size": 3}}),
        "give exactly one of digest and inline",
    ),
    "negative retries": (
        task_run("negative", ONE, retries=-1),
        "spec.retries in body should be greater than or equal to 0",
    ),
    "a text for a number": (
        task_run("text", ONE, retries="three"),
        r"spec\.retries.*integer",
    ),
    "a number for a list": (
        task_run("number", ONE, retryDelaySeconds=3),
        r"spec\.retryDelaySeconds.*array",
    ),
    "no time at all": (
        task_run("timeless", ONE, timeoutSeconds=0),
        "spec.timeoutSeconds in body should be greater than 0",
    ),
    "a word that is none of the two": (
        task_run("word", ONE, cache={"onConcurrent": "Maybe"}),
        'Unsupported value: "Maybe": supported values: "Wait", "Run"',
    ),
    "a disruption that changes nothing": (
        task_run("disrupted", ONE, onDisruption={}),
        "give at least one of avoidNode and lastAttempt",
    ),
    "a last attempt that is like the others": (
        task_run("last", ONE, onDisruption={"lastAttempt": {}}),
        "give at least one of nodeSelector, tolerations and priorityClassName",
    ),
    "a priority class that is a path": (
        task_run("class", ONE, onDisruption={"lastAttempt": {"priorityClassName": "../x"}}),
        r"spec\.onDisruption\.lastAttempt\.priorityClassName in body should match",
    ),
    "a name too long": (
        task_run("n" * 53, ONE),
        "metadata.name may have at most 52 characters, because pods are named <name>-<attempt>",
    ),
    "too much source": (
        task_run("source", ONE + "#" * 131072),
        "spec.task.source: Too long: may not be more than 131072 bytes",
    ),
    "inputs too large": (
        task_run("inputs", ONE, inputs={"inline": LARGE}),
        "spec.inputs.inline: Too long: may not be more than 87384 bytes",
    ),
    "code too large": (
        bare("code", task={"code": {"inline": LARGE}}),
        "spec.task.code.inline: Too long: may not be more than 87384 bytes",
    ),
    "a digest that is none": (
        task_run("digest", ONE, inputs={"digest": "../../other/secret"}),
        r"spec.inputs.digest in body should match '\^\[0-9a-f\]",
    ),
    "an upstream of another namespace": (
        task_run("elsewhere", NEEDS, upstream=[{"taskRun": "../../default/taskruns/x", "parameter": "rows"}]),
        r"spec\.upstream\[0\]\.taskRun in body should match",
    ),
    "waiting for a namespace and a name": (
        task_run("slash", ONE, waitFor=[{"taskRun": "default/x"}]),
        r"spec\.waitFor\[0\]\.taskRun in body should match",
    ),
    "waiting with a question": (
        task_run("question", ONE, waitFor=[{"taskRun": "x?y=1"}]),
        r"spec\.waitFor\[0\]\.taskRun in body should match",
    ),
    "a service account that is a path": (
        task_run("account", ONE, serviceAccountName="../x"),
        r"spec\.serviceAccountName in body should match",
    ),
    "an unknown field": (task_run("unknown", ONE, retry=3), r'unknown field "(spec\.)?retry"'),
    "an unknown field of the task": (
        task_run("unknown", ONE, task={"src": "x"}),
        r'unknown field "(spec\.task\.)?src"',
    ),
}

FULL: dict[str, tuple[Any, Any]] = {
    "task": ({"source": ONE}, {"source": ONE + "#"}),
    "parameters": ({"x": 1}, {"x": 2}),
    "inputs": ({"digest": "0" * 64}, {"digest": "1" * 64}),
    "files": ([{"digest": "ab" * 32, "size": 1}], [{"digest": "cd" * 32, "size": 1}]),
    "upstream": ([{"taskRun": "a", "parameter": "x", "uid": "u"}], [{"taskRun": "a", "parameter": "x", "uid": "v"}]),
    "waitFor": ([{"taskRun": "a"}], []),
    "retries": (1, 2),
    "retryDelaySeconds": ([1], [1, 2]),
    "retryJitterFactor": (0.5, 0.6),
    "maxDisruptions": (1, 2),
    "onDisruption": ({"avoidNode": True}, {"avoidNode": True, "lastAttempt": {"nodeSelector": {}}}),
    "checkpoints": (True, False),
    "onOutOfMemory": ({"maxMemory": "1Gi"}, {"maxMemory": "2Gi"}),
    "timeoutSeconds": (1, 1.5),
    "deadlineSeconds": (60, 61),
    "pendingTimeoutSeconds": (10, 20),
    "podCleanup": ("KeepAll", "Delete"),
    "cache": ({}, {"refresh": True}),
    "tags": (["a"], ["b"]),
    "image": ("a", "b"),
    "resources": ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}}),
    "env": ([{"name": "A", "value": "1"}], [{"name": "A", "value": "2"}]),
    "serviceAccountName": ("a", "b"),
    "nodeSelector": ({"a": "1"}, {"a": "2"}),
    "tolerations": ([{"key": "a"}], [{"key": "b"}]),
    "podTemplate": ({"labels": {"a": "1"}}, {"labels": {"a": "2"}}),
    "resultRetentionSeconds": (1, 2),
    "client": ({"callDigest": "a"}, {"callDigest": "b"}),
}

NEVER_RUNS: dict[str, tuple[Object, str, str]] = {
    "source that does not compile names the line": (
        task_run("typo", BAD_CODE, retries=3),
        "task.source does not compile: line 4: '(' was never closed: return math.sqrt(2",
        "Correct spec.task.source.",
    ),
    "a missing function lists what is there": (
        task_run("no-main", TWO_FUNCTIONS, retries=3),
        "task.source defines no function 'main'; found: load, store.",
        "Correct task.function.",
    ),
    "parameters that do not fit show the signature": (
        task_run("misfit", NEEDS, retries=3, parameters={"row": [1]}),
        "The parameters do not fit main: missing a required argument: 'rows'. It takes: rows, limit=10. Given: row.",
        "Correct spec.parameters",
    ),
    "a module that the image lacks is named": (
        bare("no-module", task={"entrypoint": "no.such.module:run"}),
        "the image has no module 'no'",
        "Install it in the image",
    ),
    "the host's network is not allowed": (
        task_run("host-network", ONE, podTemplate={"hostNetwork": True}),
        "spec.podTemplate.hostNetwork is not allowed; allowed are labels,",
        "Remove spec.podTemplate.hostNetwork.",
    ),
    "the host's files are not allowed": (
        task_run("host-path", ONE, podTemplate={"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
        "spec.podTemplate.volumes[0].hostPath is not allowed; allowed are name, emptyDir,",
        "Remove spec.podTemplate.volumes[0].hostPath.",
    ),
    "privileges are not allowed": (
        task_run("privileged", ONE, podTemplate={"securityContext": {"privileged": True}}),
        "spec.podTemplate.securityContext.privileged is not allowed; allowed are fsGroup,",
        "Remove spec.podTemplate.securityContext.privileged.",
    ),
    "parameters over 32 KiB belong elsewhere": (
        task_run("fat", NEEDS, parameters={"rows": "x" * 32768}),
        "spec.parameters has 32779 bytes as JSON; at most 32768 are allowed.",
        "pass the result of another TaskRun with spec.upstream",
    ),
    "a Python without an image names those that have one": (
        task_run("python", ONE, task={"python": "3.9"}),
        "There is no runner image for Python 3.9; have 3.11.",
        "Call it from a Python 3.11, set spec.image",
    ),
    "a run that waits for itself": (
        task_run("selfish", ONE, waitFor=[{"taskRun": "selfish"}]),
        "The run waits for itself: 'selfish' is among its own upstreams.",
        "Name another TaskRun.",
    ),
    "two runs that wait for each other": (
        task_run("egg", NEEDS, upstream=[{"taskRun": "hen", "parameter": "rows"}]),
        "The run waits for itself: egg → hen → egg.",
        "Break the circle",
    ),
    "the other of two runs that wait for each other": (
        task_run("hen", NEEDS, upstream=[{"taskRun": "egg", "parameter": "rows"}]),
        "The run waits for itself: hen → egg → hen.",
        "Break the circle",
    ),
    "an amount that is none": (
        task_run("amount", ONE, resources={"limits": {"memory": "lots"}}),
        "spec.resources.limits.memory is 'lots', which is not a quantity.",
        "Write CPUs as 2 or 500m, and memory as 512Mi or 4Gi.",
    ),
    "a request above its limit is the API server's to refuse": (
        task_run("above", ONE, resources={"limits": {"memory": "1Mi"}, "requests": {"memory": "2Mi"}}),
        "must be less than or equal to memory limit of 1Mi",
        "Raise spec.resources.limits",
    ),
    "a variable of ours": (
        task_run("reserved", ONE, env=[{"name": "PODTASK_GRANTS", "value": "/etc/passwd"}]),
        "spec.env[0].name 'PODTASK_GRANTS' is reserved",
        "Rename it.",
    ),
}
BARE_Y = """
apiVersion: podtask.dev/v1alpha1
kind: TaskRun
metadata: {name: bare-y}
spec:
  task: {source: "def main(y): return y"}
  parameters:
    y: 1
"""
UNKNOWN_UPSTREAM = task_run("orphan", NEEDS, upstream=[{"taskRun": "nobody", "parameter": "rows"}])
