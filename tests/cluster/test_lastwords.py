"""Logs of attempts whose runner was killed: complete up to the last moment, and they say how they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.cluster.invariants import container_state
from tests.cluster.kit import Object, Refused, World, eventually, task_run
from tests.cluster.operator_process import Operator, without_installed
from tests.cluster.outage import switchable

from podtask.core.storage import Store
from podtask.core.storage.log_tail import sentences

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

PRINTS = """
import time
def main():
    for n in range(200):
        print("line", n, flush=True)
    time.sleep(600)
"""
KILLS_ITSELF = """
import os, signal
def main():
    print("before", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
TAKES_ALL_MEMORY = """
def main():
    print("before", flush=True)
    held = []
    while True:
        held.append(bytearray(b"x") * 4_000_000)
"""
MEMORY = {"requests": {"memory": "64Mi"}, "limits": {"memory": "96Mi"}}


@pytest.fixture(scope="module")
def ended(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Object]]:
    """Four runs, each ended in its way."""
    switchable()
    with without_installed(), ExitStack() as stack:
        operator = Operator(tmp_path_factory.mktemp("operator"), world.namespace)
        stack.callback(operator.end)
        world.apply(
            task_run("all-killed", PRINTS, maxDisruptions=0),
            task_run("pod-gone", PRINTS, maxDisruptions=0),
            task_run("task-killed", KILLS_ITSELF),
            task_run("out-of-memory", TAKES_ALL_MEMORY, resources=MEMORY),
        )
        for name in ("all-killed", "pod-gone"):
            eventually(f"{name} has printed", lambda name=name: "line 199" in _log(world, f"{name}-1"))
            world.until(f"{name} is known to run", lambda name=name: _started(world.runs[name]))
        operator.kill()
        for name in ("all-killed", "pod-gone"):
            kill_container(world.pods[f"{name}-1"])
        world.until("the kubelet has seen it", lambda: container_state(world.pods["pod-gone-1"]).get("terminated"))
        world.kubectl("delete", "pod", "pod-gone-1", "--force", "--grace-period=0")
        stack.callback(Operator(tmp_path_factory.mktemp("successor"), world.namespace).end)
        yield {name: world.finished(name) for name in ("all-killed", "pod-gone", "task-killed", "out-of-memory")}


def kill_container(pod: Object) -> None:
    """SIGKILL to every process of a pod, as the kernel does when the whole container is out of memory."""
    uid = pod["metadata"]["uid"]
    found = [
        int(group.parent.name)
        for group in Path("/proc").glob("[0-9]*/cgroup")
        if (text := _read(group)) and (uid in text or uid.replace("-", "_") in text)
    ]
    runner = [process for process in found if b"podtask_runner" in _read(Path(f"/proc/{process}/cmdline")).encode()]
    assert runner, f"no process of pod {pod['metadata']['name']} is on this machine"
    for process in sorted(runner):  # the first one is the supervisor: it must not see the others die
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


def _log(world: World, pod: str) -> str:
    try:
        return world.kubectl("logs", pod)
    except Refused:
        return ""


def _started(run: Object) -> bool:
    return any(attempt.get("startedAt") for attempt in run.get("status", {}).get("attempts", ()))


def chunks(store: Store, world: World, run: Object, attempt: int = 1) -> dict[str, bytes]:
    keys = world.bucket.attempt(run["metadata"]["uid"], attempt)
    return {info.key.removeprefix(keys.log): store.get(info.key) for info in store.list(keys.log)}


def test_after_a_kill_of_everything_the_log_is_complete_and_says_so(
    ended: dict[str, Object], store: Store, world: World
) -> None:
    assert "message" not in container_state(world.pods["all-killed-1"])["terminated"]
    found = chunks(store, world, ended["all-killed"])
    assert list(found)[-1] == "999999"
    lines = b"".join(found.values()).decode().splitlines()
    assert lines[:200] == [f"line {n}" for n in range(200)]
    assert sentences(found["999999"]) == lines[200:]
    assert lines[-1].startswith("[podtask: attempt 1 ended (")
    assert "exit code 137) before its log was complete; the end of its output was taken from the pod" in lines[-1]


@pytest.mark.parametrize(("name", "outcome"), [("task-killed", "Crashed"), ("out-of-memory", "OutOfMemory")])
def test_when_only_the_task_was_killed_its_runner_completes_the_log(
    ended: dict[str, Object], store: Store, world: World, name: str, outcome: str
) -> None:
    found = chunks(store, world, ended[name])
    assert "999999" not in found
    assert b"".join(found.values()).startswith(b"before\n")
    assert ended[name]["status"]["attempts"][0]["outcome"] == outcome


def test_the_log_of_a_pod_that_is_gone_says_what_is_missing(
    ended: dict[str, Object], store: Store, world: World
) -> None:
    assert ended["pod-gone"]["status"]["attempts"][0]["outcome"] == "Disruption"
    (said,) = sentences(chunks(store, world, ended["pod-gone"])["999999"])
    assert "the pod's own log could not be read (the pod is gone)" in said
    assert said.endswith("so the last seconds of its output are missing]")
