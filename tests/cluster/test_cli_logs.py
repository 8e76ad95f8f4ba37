"""`podtask logs` on the real cluster: after the pod is gone, after a cancel, after an OOM kill, and of 200 MB."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cluster.kit import World, task_run
from tests.cluster.transcript import Shell

from podtask.core.storage import Store

pytestmark = pytest.mark.cluster

LINE = 100
"""Bytes, with the line's end."""
SOME = 20 * 1000 * 1000
"""Bytes of a log that is more than a kubelet keeps."""
LARGE = 200 * 1000 * 1000
"""Bytes of the large log, in pieces as the runner makes them."""
PIECE = 250 * 1000
MEMORY_LIMIT = 200 * 1024 * 1024
"""Bytes that the command may use to print it."""
MEASURED = """
import resource, subprocess, sys
subprocess.run(["bash", "-c", sys.argv[1]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
"""Runs a command line; then the most that any process of it used, in bytes."""

WORKS = """
import time

def main():
    print("at work", flush=True)
    time.sleep(600)
"""
HUNGRY = """
def main():
    print("hungry", flush=True)
    held = bytearray(512 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
"""
LOUD = f"""
import sys, time

def main():
    for first in range(0, {SOME // LINE}, 1000):
        sys.stdout.buffer.write(b"".join(b"%0{LINE - 1}d\\n" % n for n in range(first, first + 1000)))
        sys.stdout.buffer.flush()
        time.sleep(0.05)  # 2 MB a second: what a store cannot take in time is dropped, and said in the log
"""


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Shell:
    """A person at a terminal."""
    return Shell(tmp_path, world)


def test_the_log_outlives_the_pod(shell: Shell, world: World) -> None:
    world.apply(task_run("gone", 'def main():\n    print("said before")\n'))
    world.finished("gone")
    world.kubectl("delete", "pod", "gone-1")
    assert shell.run("podtask logs gone") == "said before\n"
    assert shell.run("podtask logs gone -f --prefix") == "[gone/1] said before\n"


def test_the_log_of_a_cancelled_run_has_what_it_said_before(shell: Shell, world: World) -> None:
    world.apply(task_run("stopped", WORKS))
    follower = subprocess.Popen(
        ["podtask", "logs", "-f", "stopped"], env=shell.environment, stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    with follower, follower.stdout as lines:
        assert next(lines) == "at work\n"
        shell.run("podtask cancel stopped")
        rest = list(lines)
    assert follower.returncode == 0
    world.finished("stopped")
    world.kubectl("delete", "pod", "stopped-1")
    assert shell.run("podtask logs stopped") == "".join(["at work\n", *rest])


def test_the_log_of_an_attempt_that_was_killed_for_memory(shell: Shell, world: World) -> None:
    world.apply(task_run("hungry", HUNGRY, resources={"limits": {"memory": "96Mi"}, "requests": {"memory": "96Mi"}}))
    world.finished("hungry")
    assert shell.run("podtask logs hungry").splitlines()[0] == "hungry"
    said = shell.run("podtask describe hungry")
    assert "OutOfMemory" in said
    assert said.splitlines()[-1].startswith("Next: Raise spec.resources.limits.memory")


def numbered(count: int) -> bytes:
    """So many lines."""
    return b"".join(b"%0*d\n" % (LINE - 1, n) for n in range(count))


@pytest.mark.long
def test_a_log_that_the_kubelet_has_rotated_comes_whole(shell: Shell, world: World) -> None:
    world.apply(task_run("loud", LOUD))
    world.finished("loud", 120)
    digest = hashlib.sha256(numbered(SOME // LINE)).hexdigest()
    assert shell.run("podtask logs loud | sha256sum").split() == [digest, "-"]


@pytest.mark.long
def test_a_log_of_200_mb_comes_whole_through_little_memory(shell: Shell, world: World, store: Store) -> None:
    world.apply(task_run("large", "def main(): return 1"))
    uid = world.finished("large")["metadata"]["uid"]
    log = world.bucket.attempt(uid, 1).log
    whole, piece = hashlib.sha256(), numbered(PIECE // LINE)
    for _ in range(LARGE // PIECE):
        whole.update(piece)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"{log}{number:06d}", piece), range(1, LARGE // PIECE + 1)))
    said = shell.run(f"{shlex.quote(sys.executable)} -c '{MEASURED}' 'podtask logs large | sha256sum'").split()
    assert said[:2] == [whole.hexdigest(), "-"]
    assert int(said[2]) <= MEMORY_LIMIT, f"some command used {said[2]} bytes"
    assert shell.run("podtask logs large --tail 1") == f"{PIECE // LINE - 1:0{LINE - 1}d}\n"
