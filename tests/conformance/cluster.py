"""The conformance cases on a real cluster: a namespace per session, and the straight cases all at the same time.

A pod takes a second or two, most of it waiting; one after the other the cases would take minutes. So the first
straight case that pytest calls runs them all, each on a thread of its own, and every one then tells its own outcome.
A case is straight by its mark: one for each thing that can happen. No two of them may share a cache key, and none may
need a fixture but `backend`. The others are `long` on a cluster.
Before: `dev/with-cluster` (KUBECONFIG, operator). Used by: `conftest`.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

KUBERNETES = "kubernetes"
SECONDS = 600
"""For all straight cases together. They have taken four minutes."""
THREADS = 16
_RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def is_straight(item: pytest.Item) -> bool:
    """Whether the case belongs to the cluster's quick run."""
    return on_backend(item, KUBERNETES) and item.get_closest_marker("straight") is not None


def on_backend(item: pytest.Item, name: str) -> bool:
    """Whether the case is one for that backend."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("backend") == name


@contextmanager
def namespace() -> Iterator[str]:
    """A fresh namespace; fails with a sentence where there is no cluster."""
    if not os.environ.get("KUBECONFIG"):
        pytest.fail(
            'KUBECONFIG is not set: run these cases by dev/with-cluster, or eval "$(dev/cluster env)"', pytrace=False
        )
    name = f"conformance-{secrets.token_hex(3)}"
    _kubectl("create", "namespace", name)
    try:
        _kubectl("label", "namespace", name, _RESTRICTED)
        _kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=30s")
        yield name
    finally:
        _kubectl("delete", "namespace", name, "--wait=false")


def _kubectl(*arguments: str) -> None:
    try:
        done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.fail('kubectl is not on PATH: eval "$(dev/cluster env)"', pytrace=False)
    if done.returncode:
        pytest.fail(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}", pytrace=False)


class Together:
    """The straight cases of one session."""

    def __init__(self, items: list[pytest.Function]) -> None:
        self._items = items
        self._outcomes: dict[str, BaseException | None] = {}
        self._lock = threading.Lock()
        self._started = False

    def tell(self, item: pytest.Function) -> None:
        """Return or raise as the case did."""
        if not self._started:
            self._started = True
            self._run_all()
        if item.nodeid not in self._outcomes:
            pytest.fail(
                f"The case did not end within {SECONDS} s; is the operator running? kubectl get ptr -A", pytrace=False
            )
        error = self._outcomes[item.nodeid]
        if error is not None:
            raise error

    def _run_all(self) -> None:
        left = list(reversed(self._items))
        threads = [threading.Thread(target=self._work, args=(left,), daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self, left: list[pytest.Function]) -> None:
        while True:
            with self._lock:
                if not left:
                    return
                item = left.pop()
            error = _outcome(_case(item))
            with self._lock:
                self._outcomes[item.nodeid] = error


def _case(item: pytest.Function) -> Callable[[], Any]:
    """The case as a plain function; its only fixture is `backend`, the rest are its parameters."""
    holder = item.cls() if item.cls is not None else item.module
    function = getattr(holder, item.originalname)
    wanted = {name: value for name, value in item.callspec.params.items() if name in item.function.__code__.co_varnames}
    return lambda: function(**wanted)


def _outcome(case: Callable[[], Any]) -> BaseException | None:
    try:
        case()
    except BaseException as error:  # noqa: BLE001 - the outcome of a case is told later
        return error
    return None
