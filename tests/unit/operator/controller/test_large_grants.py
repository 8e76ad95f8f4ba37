"""Grants of a wide fan-in fit into no Secret: they go into the bucket, numbered, and the runner reads them there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.operator_world import ENDED, World, reconciling
from tests.unit.operator.controller.test_grant_renewal import running
from tests.unit.runner.s3like import S3Like

from podtask.core.storage import AlreadyStored, StoreUnavailable
from podtask.core.storage.layout import Bucket, secret_name
from podtask_operator.controller.work_queue import Later
from podtask_operator.storage import grants
from podtask_runner.storage import grants_file

SECRET_MOST = 1024 * 1024
"""Bytes of all data of a Secret (Kubernetes, MaxSecretSize)."""
NOISE = random.Random(7)
AT = "prefix/.grants/team/uid-hello/1/"


def upstreams(world: World, count: int) -> dict[str, Any]:
    """So many that ended with 2 KB each that no compression makes small; the spec of who needs them."""
    names = [f"up{n}" for n in range(count)]
    for name in names:
        value = json.dumps(NOISE.randbytes(1000).hex())
        digest = hashlib.sha256(value.encode()).hexdigest()
        result = {"digest": digest, "size": len(value), "serializer": "json", "value": value, "attempt": 1}
        world.add(name, status={**ENDED, "attemptsTotal": 1, "result": result})
    return {"upstream": [{"taskRun": name, "parameter": f"p{n}"} for n, name in enumerate(names)]}


def secret(world: World, name: str = "hello") -> bytes:
    (data,) = world.api.secrets[secret_name(name, f"uid-{name}")]["data"].values()
    return base64.b64decode(data)


@reconciling
async def test_a_thousand_results_of_two_kilobytes_are_granted_and_read(world: World) -> None:
    server = S3Like()
    try:
        world.signer.sign_get = lambda key, _: f"{server.url}/{key}"  # type: ignore[method-assign]
        world.add("hello", upstreams(world, 1000))
        await world.look("hello")
        assert "hello-1" in world.api.pods
        assert len(json.dumps(world.api.secrets)) < 4096
        server.objects = {f"/{info.key}": world.store.get(info.key) for info in world.store.list(AT)}
        assert list(server.objects) == [f"/{AT}1"]
        with tempfile.NamedTemporaryFile() as file:
            file.write(secret(world))
            file.flush()
            found = await asyncio.to_thread(grants_file.read, Path(file.name))
    finally:
        server.close()
    assert (found.task_run, len(found.upstream)) == ("hello", 1000)
    assert all(up.blob.inline is not None for up in found.upstream)


@pytest.mark.parametrize(("count", "where"), [(1, "plain"), (35, "gzip"), (100, "bucket")])
def test_small_ones_stay_in_the_secret(count: int, where: str) -> None:
    @reconciling
    async def test(world: World) -> None:
        world.add("hello", upstreams(world, count))
        await world.look("hello")
        data = secret(world)
        assert len(data) <= grants.SECRET_LIMIT
        assert data.startswith(b"{") == (where != "gzip")
        assert (b'"document"' in data) == (where == "bucket")
        assert len(list(world.store.list(AT))) == (where == "bucket")

    test()


@reconciling
async def test_renewed_ones_are_another_object_before_the_secret_names_it(world: World) -> None:
    world.add("hello", {**upstreams(world, 100), "timeoutSeconds": 604800})
    await world.look("hello")
    await running(world, "hello")
    first = secret(world)
    with pytest.raises(AlreadyStored):
        world.store.put(f"{AT}1", b"", if_absent=True)
    world.restart()  # which number was the last one is asked of the bucket
    world.now += timedelta(seconds=SETTINGS.grant_seconds / 2)
    await world.look("hello")
    assert [info.key for info in world.store.list(AT)] == [f"{AT}1", f"{AT}2"]
    assert secret(world) != first
    assert b"/1/2" in secret(world)


@reconciling
async def test_a_bucket_that_is_away_postpones_the_launch_and_fails_nothing(world: World) -> None:
    world.add("hello", upstreams(world, 100))
    put = world.store.put

    def away(*_: Any, **__: Any) -> str:
        raise StoreUnavailable("away")

    world.store.put = away  # type: ignore[method-assign]
    for _ in range(3):
        world.now += timedelta(hours=1)
        with pytest.raises(Later, match=r"away|not asked"):
            await world.look("hello")
    assert world.api.pods == {}
    world.store.put = put  # type: ignore[method-assign]
    world.objects._calls._failures = 0  # its breaker waits by the process's clock
    await world.look("hello")
    assert "hello-1" in world.api.pods
    assert world.status("hello")["attemptsTotal"] == 1


def test_they_are_not_below_what_users_of_the_namespace_may_read() -> None:
    for prefix in ("", "prefix", "a/b"):
        bucket = Bucket(prefix, "team")
        assert not bucket.grants("uid", 1).startswith(bucket.folder)
        assert bucket.grants("uid", 1).endswith(".grants/team/uid/1/")
        assert not bucket.grants("uid", 1).startswith("/")
    with pytest.raises(ValueError, match="segment"):
        Bucket("prefix", "team").grants("../other", 1)
