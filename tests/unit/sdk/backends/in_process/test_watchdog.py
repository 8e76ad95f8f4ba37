"""Whatever fails in podtask itself, a run has an end with a sentence: every collaborator raises, nobody waits."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from podtask import backends, flow, task, task_input_hash
from podtask.backends import local, process
from podtask.backends.in_process import attempt, controller, result_cache, single_flight
from podtask.backends.in_process.clock import WallClock
from podtask.core.cache import repository
from podtask.engine.hooks import HookQueue
from podtask.support.thread_pool import Workers
from podtask_runner.attempt import execute

SHARED = [
    (result_cache.ResultCache, "plan"),
    (result_cache.ResultCache, "look_up"),
    (result_cache.ResultCache, "waits_abroad"),
    (result_cache.ResultCache, "leave"),
    (result_cache.ResultCache, "publish"),
    (repository.CacheRepository, "lookup"),
    (repository.CacheRepository, "explain"),
    (repository.CacheRepository, "publish"),
    (repository.CacheRepository, "remember"),
    (result_cache, "_plan"),
    (single_flight.Flights, "lead"),
    (single_flight.Flights, "land"),
    (controller, "decide"),
    (controller, "upstreams_of"),
    (controller, "log_failure"),
    (controller.LifecycleLoop, "_look_again"),
    (controller.LifecycleLoop, "began"),
    (HookQueue, "news"),
    (attempt, "cache_key"),
    (attempt, "arguments"),
    (attempt, "named"),
]
LOCAL = [
    (local.LocalBackend, "launch"),
    (local.LocalBackend, "began"),
    (local.InProcess, "_call"),
    (local.InProcess, "_await"),
    (local.InProcess, "_returned"),
    (local.InProcess, "_raised"),
    (result_cache.ResultCache, "keep"),
    (WallClock, "call_at"),
    (execute, "completed"),
    (execute, "raised"),
    (threading.Thread, "start"),
]
PROCESS = [
    (process.ProcessBackend, "launch"),
    (process, "_grants"),
    (process, "follow"),
    (process.protocol, "load_outcome"),
    (process.protocol, "dump"),
    (tempfile, "mkdtemp"),
    (subprocess, "Popen"),
    (threading.Thread, "start"),
]
ERRORS = [
    ValueError("broken on purpose"),
    OSError(28, "broken on purpose"),
    UnicodeEncodeError("utf-8", "\udcff", 0, 1, "broken on purpose"),
    MemoryError("broken on purpose"),
]


def cases() -> list[Any]:
    """Every error where a try costs nothing; one of them where it costs a process."""
    found = []
    for backend, places, errors in (("local", SHARED + LOCAL, ERRORS), ("process", SHARED + PROCESS, ERRORS[:1])):
        for place, name in places:
            where = getattr(place, "__name__", str(place)).rpartition(".")[2]
            found += [
                pytest.param(backend, place, name, error, id=f"{backend}-{where}.{name}-{type(error).__name__}")
                for error in errors
            ]
    return found


@task(cache_key_fn=task_input_hash, timeout_seconds=30)
def cached(x: int) -> int:
    return x


@task(cache_key_fn=lambda context, arguments: "mine", retries=1)
def failing(x: int) -> int:
    raise LookupError("the task's own")


@task(cache_key_fn=task_input_hash)
async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x


@pytest.mark.parametrize(("backend", "place", "name", "error"), cases())
def test_a_collaborator_that_raises_ends_no_wait(
    backend: str, place: Any, name: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", backend)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(logging.getLogger("podtask"), "disabled", True)
    before = backends.get()  # made before anything is broken
    states = []

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    @flow
    def breaking() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, broken)
            for call in (cached, failing, later):
                try:
                    future: Any = call(1)
                except type(error) as at_the_call:
                    assert at_the_call is error  # noqa: PT017 - told where it was called
                    continue
                states.append(future.wait(30) or "nobody knows")

    try:
        breaking(return_state=True)
    finally:
        before.close()
    for state in states:
        assert state != "nobody knows", f"after {place}.{name} raised {error!r}"
        assert state.is_final()
        assert state.is_completed() or state.message
    assert os.environ["PODTASK_BACKEND"] == backend


def test_a_cache_key_that_is_no_utf8_is_a_key_like_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path))

    @task(cache_key_fn=lambda context, arguments: arguments["path"])
    def load(path: str) -> int:
        return len(path)

    @flow(backend="local")
    def loading() -> list[str]:
        return [load(path).wait(30).name for path in ("\udcff.csv", "\udcff.csv", "\udcfe.csv", "\\udcff.csv")]

    assert loading() == ["Completed", "Cached", "Completed", "Completed"]


def test_a_pool_goes_on_after_a_job_that_failed() -> None:
    workers, done = Workers(1), threading.Event()

    def bad() -> None:
        raise SystemExit(3)

    workers.submit(bad)
    workers.submit(done.set)
    assert done.wait(30)
    workers.close()
