"""How the cluster tests look at the world: kubectl as a person would use it, and one watch that keeps the history.

`until` waits on what the watches bring, `eventually` asks again and again; both are bounded and say for what they wait.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from podtask.core.storage import Store
from podtask.core.storage.layout import Bucket, secret_name
from podtask.core.storage.url import key_prefix, open_store

T = TypeVar("T")
Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
RUNS = "taskruns.podtask.dev"


class Refused(Exception):
    """kubectl said no; the text is its answer."""


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Run kubectl; its answer, or `Refused` with its complaint."""
    done = subprocess.run(
        ["kubectl", *arguments], input=given, text=True, capture_output=True, check=False, timeout=120
    )
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout


@dataclass(frozen=True)
class Seen:
    """One watch event."""

    at: float
    type: str
    object: Object


class World:
    """One namespace, watched from before the first object on."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.runs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.history: list[Seen] = []
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._watches: dict[str, subprocess.Popen[str]] = {}
        self._readers = [self._read(RUNS, self.runs), self._read("pods", self.pods)]

    @functools.cached_property
    def bucket(self) -> Bucket:
        """The namespace's folder in the bucket."""
        uid = kubectl("get", "namespace", self.namespace, "-o", "jsonpath={.metadata.uid}")
        return bucket_of(self.namespace, uid)

    def close(self) -> None:
        """End the watches."""
        self._closed.set()
        for watch in self._watches.values():
            watch.kill()
        for reader in self._readers:
            reader.join(10)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """kubectl in this namespace."""
        return kubectl("--namespace", self.namespace, *arguments, given=given)

    def apply(self, *manifests: Object) -> None:
        """`kubectl apply` with strict validation."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--validate=strict", "-f", "-", given=json.dumps(listed))

    def patch(self, name: str, **spec: Any) -> None:
        """Change the spec of a TaskRun."""
        self.kubectl("patch", RUNS, name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def until(self, what: str, seen: Callable[[], T | None], seconds: float = 90) -> T:
        """Wait until the watches show it: the first truthy answer. Fails with `what` and the state of all runs."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = seen()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"gave up after {seconds:g} s waiting until {what}; {self._told()}")
                self._changed.wait(left)

    def finished(self, name: str, seconds: float = 90) -> Object:
        """The TaskRun, once it has ended."""

        def ended() -> Object | None:
            run = self.runs.get(name)
            return run if run and run.get("status", {}).get("finishedAt") else None

        return self.until(f"{name} has ended", ended, seconds)

    def in_state(self, name: str, state: str, reason: str | None = None, seconds: float = 60) -> Object:
        """The TaskRun, once its status says so."""

        def there() -> Object | None:
            status = self.runs.get(name, {}).get("status", {})
            return self.runs[name] if status.get("state") == state and reason in (None, status.get("reason")) else None

        return self.until(f"{name} is {state}/{reason or '*'}", there, seconds)

    def secret_of(self, name: str) -> str:
        """Name of the Secret with the grants of a run that is there."""
        return secret_name(name, json.loads(self.kubectl("get", RUNS, name, "-o", "json"))["metadata"]["uid"])

    def pods_of(self, name: str) -> list[str]:
        """Names of all pods the run ever had, in order of their first appearance."""
        names = [
            seen.object["metadata"]["name"]
            for seen in self.history
            if seen.object["kind"] == "Pod"
            and seen.object["metadata"].get("labels", {}).get("podtask.dev/task-run") == name
        ]
        return list(dict.fromkeys(names))

    def _read(self, resource: str, held: dict[str, Object]) -> threading.Thread:
        reader = threading.Thread(target=self._follow, args=(resource, held), daemon=True)
        reader.start()
        return reader

    def _follow(self, resource: str, held: dict[str, Object]) -> None:
        """One kubectl after another: a watch ends when the API server is away for a moment."""
        words = ["get", resource, "--watch", "--output-watch-events", "-o", "json"]
        while not self._closed.is_set():
            command = ["kubectl", "--namespace", self.namespace, *words]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self._watches[resource] = process
            assert process.stdout is not None
            with process.stdout as stream:
                for line in stream:
                    if not line.endswith("\n"):  # cut off together with the connection
                        break
                    event = json.loads(line)
                    if event["type"] != "ERROR":
                        self._put(event["type"], event["object"], held)
            process.wait()
            self._closed.wait(0.5)
            self._drop_vanished(resource, held)

    def _drop_vanished(self, resource: str, held: dict[str, Object]) -> None:
        """Nobody told of what was deleted between two watches."""
        with self._changed:
            before = dict(held)
        try:
            listed = json.loads(self.kubectl("get", resource, "-o", "json"))["items"]
        except (Refused, subprocess.TimeoutExpired):  # still away; asked again after the next watch
            return
        there = {obj["metadata"]["uid"] for obj in listed}
        for name, obj in before.items():
            if obj["metadata"]["uid"] not in there and held.get(name) is obj:
                self._put("DELETED", obj, held)

    def _put(self, kind: str, obj: Object, held: dict[str, Object]) -> None:
        with self._changed:
            self.history.append(Seen(time.time(), kind, obj))
            if kind == "DELETED":
                held.pop(obj["metadata"]["name"], None)
            else:
                held[obj["metadata"]["name"]] = obj
            self._changed.notify_all()

    def _told(self) -> str:
        lines = [f"{name}: {json.dumps(run.get('status', {}))[:600]}" for name, run in self.runs.items()]
        return "\n".join(["the runs are", *lines])


def eventually(what: str, seen: Callable[[], T | None], seconds: float = 60, step: float = 0.1) -> T:
    """Ask until the answer is truthy: what no watch shows, another process has no event for either."""
    deadline = time.monotonic() + seconds
    while True:
        found = seen()
        if found:
            return found
        assert time.monotonic() < deadline, f"gave up after {seconds:g} s waiting until {what}"
        time.sleep(step)


def opened_store() -> Store:
    """The bucket, as the operator sees it."""
    return open_store(needed("PODTASK_STORE"), endpoint_url=needed("PODTASK_S3_ENDPOINT_URL"))


def bucket_of(namespace: str, uid: str | None = None) -> Bucket:
    """The namespace's folder in it; `uid` of the namespace for what its cache holds."""
    return Bucket(key_prefix(needed("PODTASK_STORE")), namespace, uid)


@contextmanager
def namespace(name: str, *, empty: bool = True) -> Iterator[World]:
    """A new namespace that enforces Pod Security `restricted`, watched; gone afterwards.

    Without what an earlier one of its name left in the bucket, its mark included, unless `empty` is False.
    """
    needed("KUBECONFIG")
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    store = opened_store()
    for left in store.list(bucket_of(name).folder) if empty else ():
        store.delete(left.key)
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    there = ("--for=create", "serviceaccount/default", "--timeout=30s")  # until then pods are refused
    kubectl("wait", "--namespace", name, *there)
    world = World(name)
    try:
        yield world
    finally:
        world.close()
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def task_run(name: str, source: str, **spec: Any) -> Object:
    """A manifest with inline source."""
    task = {"source": source, **spec.pop("task", {})}
    return {
        "apiVersion": "podtask.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": name},
        "spec": {"task": task, **spec},
    }


def sentence(command: Callable[[], object]) -> str:
    """What kubectl answers to something it should refuse."""
    try:
        command()
    except Refused as refusal:
        return str(refusal)
    return "it was accepted"


def together(commands: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Answers to many independent calls, made at the same time."""
    with ThreadPoolExecutor(8) as pool:
        asked = {name: pool.submit(command) for name, command in commands.items()}
        return {name: answer.result() for name, answer in asked.items()}


def let_go(world: World, *pods: str) -> None:
    """Let the gated tasks in these pods go on: they wait for `/tmp/go`."""

    def open_gate(pod: str) -> None:
        try:
            world.kubectl("exec", pod, "--", "python3", "-c", "open('/tmp/go', 'w')")
        except Refused as refusal:
            if "exit code 137" not in str(refusal):  # killed together with the container, which the open gate let end
                raise

    together({pod: functools.partial(open_gate, pod) for pod in pods})


def needed(variable: str) -> str:
    """An environment variable the cluster tests cannot do without."""
    value = os.environ.get(variable)
    if not value:
        raise AssertionError(
            f'{variable} is not set: run these tests by `make test-cluster`, or first: eval "$(dev/cluster env)"'
        )
    return value
