"""Nodes that do not exist: kwok plays their kubelet, so that many pods cost the machine little.

Pods of TaskRuns that tolerate `TAINT` and select `SELECTOR` end as their label `PLAYS` says. Their containers never
run; the outcome that a runner would have written is put into the termination message, with its result inline.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.kit import ROOT, Object, kubectl, needed, task_run
from tests.cluster.operator_process import WITH_US

from podtask_runner import protocol

NODES = 4
PODS_PER_NODE = 5000
SELECTOR = {"podtask-bench": "kwok"}
TAINT: Object = {"key": "podtask-bench", "value": "kwok", "effect": "NoSchedule"}
PLAYS = "podtask-bench/plays"
COMPLETES, FAILS_ONCE, STAYS = "completes", "fails-once", "stays"
ATTEMPT = "podtask.dev/attempt"
OPTIONS: Object = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"podPlayStageParallelism": 16, "nodePlayStageParallelism": 4, "nodeLeaseParallelism": 4},
}
"""Pods: four by default; then kwok, and not the operator, is what is measured. Options that are left out are 0."""
RUNS_FOR = 300
"""Milliseconds a container "runs"."""


def simulated(name: str, plays: str = COMPLETES, **spec: Any) -> Object:
    """A TaskRun whose pod goes to a simulated node."""
    template = {"labels": {PLAYS: plays}}
    toleration = {"key": TAINT["key"], "operator": "Exists"}
    return task_run(
        name, "def main(): pass\n", nodeSelector=SELECTOR, tolerations=[toleration], podTemplate=template, **spec
    )


@contextmanager
def nodes(folder: Path) -> Iterator[int]:
    """While it lasts there are simulated nodes, and kwok, of this process id, plays them."""
    config, log = folder / "stages.yaml", folder / "kwok.log"
    config.write_text("\n---\n".join(json.dumps(part) for part in (OPTIONS, *stages())))
    given = "\n---\n".join(json.dumps(node(number)) for number in range(NODES))
    command = [str(program()), "--kubeconfig", needed("KUBECONFIG"), "--config", str(config)]
    selector = "--manage-nodes-with-label-selector=" + ",".join(f"{k}={v}" for k, v in SELECTOR.items())
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*WITH_US, *command, selector, "--node-lease-duration-seconds=40"],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        kubectl("apply", "-f", "-", given=given)
        for number in range(NODES):
            kubectl("wait", f"node/{name_of(number)}", "--for=condition=Ready", "--timeout=60s")
        yield process.pid
    finally:
        kubectl("delete", "nodes", "-l", ",".join(f"{k}={v}" for k, v in SELECTOR.items()), "--ignore-not-found")
        process.kill()
        process.wait(10)


def program() -> Path:
    """kwok, built when it is missing (two minutes)."""
    dev = str(ROOT / "dev" / "tools")
    subprocess.run([dev, "kwok"], check=True, capture_output=True, timeout=900)
    done = subprocess.run([dev, "path"], check=True, capture_output=True, text=True, timeout=60)
    return Path(done.stdout.strip()) / "kwok"


def name_of(number: int) -> str:
    return f"podtask-bench-{number}"


def node(number: int) -> Object:
    """A large one."""
    room = {"cpu": "10000", "memory": "100Ti", "pods": str(PODS_PER_NODE), "ephemeral-storage": "100Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name_of(number), "labels": SELECTOR},
        "spec": {"taints": [TAINT]},
        "status": {"allocatable": room, "capacity": room},
    }


def stages() -> list[Object]:
    """What kwok does to nodes and to pods."""
    value = b"1"
    result = protocol.Result(hashlib.sha256(value).hexdigest(), len(value), "json", value=value.decode())
    completed = protocol.Outcome(protocol.Verdict.COMPLETED, result)
    failed = protocol.Outcome(protocol.Verdict.FAILED, error=protocol.Error("ValueError", "not yet"))
    first = {"key": f'.metadata.labels["{ATTEMPT}"]', "operator": "In", "values": ["1"]}
    later = {**first, "operator": "NotIn"}
    return [
        stage("node-initialize", "Node", [], READY_NODE, delay=0),
        stage("pod-ready", "Pod", [phase("Pending")], RUNNING_POD, delay=0),
        stage("completes", "Pod", [phase("Running"), plays(COMPLETES)], ended("Succeeded", 0, completed)),
        stage("fails-first", "Pod", [phase("Running"), plays(FAILS_ONCE), first], ended("Failed", 1, failed)),
        stage("then-completes", "Pod", [phase("Running"), plays(FAILS_ONCE), later], ended("Succeeded", 0, completed)),
        stage("pod-delete", "Pod", [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}], None, delay=0),
    ]


def stage(name: str, kind: str, conditions: list[Object], template: str | None, delay: int = RUNS_FOR) -> Object:
    """One rule of kwok's; without a template the object is deleted."""
    alive = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    fresh = {"key": '.status.conditions.[] | select( .type == "Ready" ) | .status', "operator": "NotIn"}
    if kind == "Node":
        conditions = [{**fresh, "values": ["True"]}]
    elif template is not None:
        conditions = [alive, *conditions]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": conditions},
            "delay": {"durationMilliseconds": delay},
            "next": {"delete": True} if template is None else {"statusTemplate": template},
        },
    }


def phase(name: str) -> Object:
    return {"key": ".status.phase", "operator": "In", "values": [name]}


def plays(what: str) -> Object:
    return {"key": f'.metadata.labels["{PLAYS}"]', "operator": "In", "values": [what]}


def ended(name: str, exit_code: int, outcome: protocol.Outcome) -> str:
    """The status of a pod whose container wrote this outcome."""
    message = json.dumps(protocol.dump_outcome(outcome).decode())
    return f"""
{{{{ $now := Now }}}}
phase: {name}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: {exit_code}
      reason: {"Completed" if exit_code == 0 else "Error"}
      startedAt: {{{{ $now | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
      message: {message}
{{{{ end }}}}
"""


RUNNING_POD = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
"""
READY_NODE = """
{{ $now := Now }}
conditions:
- type: Ready
  status: "True"
  reason: KubeletReady
  message: kwok plays the kubelet
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
phase: Running
"""
