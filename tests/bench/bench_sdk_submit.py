"""What a call costs its caller: `.map` over 1,000 elements against a real API server (budget: 15 s), and locally.

    eval "$(dev/cluster env)"; python -m tests.bench.bench_sdk_submit

A namespace of its own, and every TaskRun suspended, so that no operator makes pods of them: what is measured is the
SDK and the API server. Arguments: how many POSTs at a time. Prints a table; asserts nothing.
On the two shared cores of the dev cluster, API server and etcd beside it (2026-11, load 4 from other work):

    backend                seconds       calls/s   POST, ms (median)
    local                  0.37          2705
    kubernetes, 1 at once  11.03, 11.66  91, 86    8.0, 8.5
    kubernetes, 8 at once  8.69, 9.06    115, 110  53.2, 56.4

There the API server's processor time is the limit; with load 8, one at a time took 21.5 to 27.8 s.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.tables import show

from podtask import backends, flow, task
from podtask.backends.kubernetes.backend import KubernetesBackend
from podtask.kube.client import Object, connect
from podtask.settings import Settings

MAPPED = 1000
ROUNDS = 2


class Suspended:
    """The API, with every new TaskRun suspended; keeps the seconds each POST took."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.posts: list[float] = []

    def create_run(self, namespace: str, run: Object) -> Object:
        run["spec"]["suspend"] = True
        started = time.perf_counter()
        created: Object = self._api.create_run(namespace, run)
        self.posts.append(time.perf_counter() - started)
        return created

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


@task
def plain(x: int) -> int:
    return x


@flow
def mapping(then: Any) -> float:
    """Seconds that `.map` took."""
    started = time.perf_counter()
    futures = plain.map(range(MAPPED))
    seconds = time.perf_counter() - started
    then()
    for future in futures:
        future.wait()
    return seconds


@contextmanager
def namespace() -> Iterator[str]:
    name = f"bench-submit-{secrets.token_hex(3)}"
    subprocess.run(["kubectl", "create", "namespace", name], check=True, stdout=subprocess.DEVNULL)
    try:
        yield name
    finally:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=True, stdout=subprocess.DEVNULL)


def on_cluster(at_once: int) -> list[object]:
    """One row: `.map` with so many POSTs at a time."""
    with namespace() as name:
        api = Suspended(connect())
        given = Settings(backend="kubernetes", namespace=name)
        backends.register("kubernetes", lambda _: _backend(given, api, at_once))
        delete = ["kubectl", "delete", "taskruns.podtask.dev", "--all", "--namespace", name, "--wait=false"]
        remove = lambda: subprocess.run(delete, check=True, stdout=subprocess.DEVNULL)  # noqa: E731
        seconds = mapping.with_options(backend="kubernetes")(remove)
    return [f"kubernetes, {at_once} at once", *cells(seconds, api.posts)]


def _backend(given: Settings, api: Any, at_once: int) -> KubernetesBackend:
    backend = KubernetesBackend(given, api)
    backend.submits_at_once = at_once
    return backend


def on(backend: str) -> list[object]:
    """The same on a backend of this machine."""
    seconds = mapping.with_options(backend=backend)(lambda: None)
    return [backend, *cells(seconds, [0.0])]


def cells(seconds: float, posts: list[float]) -> list[str]:
    return [f"{seconds:.2f}", f"{MAPPED / seconds:.0f}", f"{1000 * statistics.median(posts):.1f}"]


def main() -> None:
    at_once = [int(number) for number in sys.argv[1:]] or [1, 8]
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(PODTASK_HOME=home, PODTASK_PROGRESS="off", PODTASK_REMOTE_LOGS="off")
        rows = [on("local"), *(on_cluster(number) for _ in range(ROUNDS) for number in at_once)]
    show(f".map over {MAPPED} elements", ("backend", "seconds", "calls/s", "POST, ms (median)"), rows)


if __name__ == "__main__":
    main()
