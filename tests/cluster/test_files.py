"""Files that are larger than the pods' memory: made by a pod, passed on to another one, read and sent by the driver."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.kit import World

from podtask import File, backends, flow, task

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

MIB = 1 << 20
SIZES = [
    pytest.param(300, "128Mi", id="300 MiB through 128 MiB"),
    pytest.param(2048, "512Mi", id="2 GiB through 512 MiB", marks=pytest.mark.long),
]


@pytest.fixture
def namespace(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("PODTASK_BACKEND", "kubernetes")
    monkeypatch.setenv("PODTASK_NAMESPACE", world.namespace)
    monkeypatch.setenv("PODTASK_HOME", str(tmp_path / "home"))
    yield world.namespace
    backends.get().close()


def block(number: int) -> bytes:
    return hashlib.shake_128(str(number).encode()).digest(4096) * 256


def made(path: Path, blocks: int) -> File:
    """Blocks of a mebibyte, every one different."""
    with path.open("wb") as target:
        for number in range(blocks):
            target.write(block(number))
    return File(path)


@task
def make(blocks: int) -> File:
    return made(Path("/tmp/large.bin"), blocks)


@task
def look(file: File) -> dict[str, Any]:
    """What arrived, and how much memory this took (MiB): of the task, and the most that the container ever used."""
    import resource

    hasher = hashlib.sha256()
    counters = [Path("/sys/fs/cgroup/memory.peak"), Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes")]  # v2, v1
    with file.open() as source:
        while piece := source.read(MIB):
            hasher.update(piece)
    return {
        "name": file.name,
        "size": file.size,
        "sha256": hasher.hexdigest(),
        "task": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "container": next((int(path.read_text()) // MIB for path in counters if path.exists()), None),
    }


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("blocks", "memory"), SIZES)
def test_a_file_larger_than_memory_is_made_and_passed_on(blocks: int, memory: str) -> None:
    small = {"resources": {"limits": {"memory": memory}}, "retries": 0}

    @flow
    def passing() -> tuple[dict[str, Any], File]:
        file = make.with_options(**small)(blocks)
        return look.with_options(**small)(file).result(), file.result()

    told, here = passing()
    print(told)
    assert (told["name"], told["size"]) == ("large.bin", blocks * MIB)
    assert told["sha256"] == here.digest
    assert told["task"] < 100
    assert (here.name, here.size) == ("large.bin", blocks * MIB)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(("blocks", "memory"), SIZES)
def test_a_file_of_the_driver_larger_than_the_pods_memory_arrives(tmp_path: Path, blocks: int, memory: str) -> None:
    @flow
    def sending() -> dict[str, Any]:
        return look.with_options(resources={"limits": {"memory": memory}})(file).result()

    file = made(tmp_path / "sent.bin", blocks)
    told = sending()
    print(told)
    assert (told["name"], told["size"], told["sha256"]) == ("sent.bin", blocks * MIB, file.digest)
    assert told["task"] < 100
