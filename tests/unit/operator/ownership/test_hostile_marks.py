"""Owners' marks where the API server, a webhook or a tenant is in the way: two releases never work in one namespace."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from tests.support.virtual_time import run
from tests.unit.operator.ownership.test_keeper import Leases, Object, Release, lease

from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.ownership.mark import DURATION, LOOK, NOTED, RENEW, Standing

FORBIDDEN = ApiError(403, "Forbidden", "leases is forbidden: RBAC: clusterrole not found")
HOOK = "failed calling webhook: context deadline exceeded"


async def two_releases(api: Leases) -> tuple[Release, Release]:
    """The first works in the namespace, the second leaves it alone."""
    owner, other = Release(api, "one").start(), Release(api, "two").start()
    assert await owner.works()
    assert not await other.works()
    return owner, other


async def worked(seconds: float, *releases: Release) -> list[int]:
    """How many of them could write, at each second."""
    counts = []
    for _ in range(int(seconds)):
        counts.append(sum(each.served.works_in("team") and each.served.may_write("team") for each in releases))
        await asyncio.sleep(1)
    return counts


def test_a_refusal_that_passes_makes_nobody_work_in_the_namespace_of_another() -> None:
    async def test() -> None:
        api = Leases()
        owner, other = await two_releases(api)
        await asyncio.sleep(LOOK - 5)
        api.error = FORBIDDEN  # as of an API server that has just started
        assert await worked(10, owner, other) == [1] * 10
        api.error = None
        assert await worked(1000, owner, other) == [1] * 1000
        assert other.served.of_another("team")
        owner.kill()
        other.kill()

    run(test())


def test_a_renewal_that_is_refused_once_does_not_give_the_namespace_away() -> None:
    async def test() -> None:
        api = Leases()
        owner, other = await two_releases(api)
        accepted = api.update_lease

        async def refuse_the_owner(namespace: str, name: str, body: Object) -> Object:
            raise FORBIDDEN

        api.update_lease = refuse_the_owner  # type: ignore[method-assign]
        await asyncio.sleep(1.3 * RENEW)
        api.update_lease = accepted  # type: ignore[method-assign]
        assert await worked(1000, owner, other) == [1] * 1000
        assert owner.served.mark("team").standing is Standing.OURS
        owner.kill()
        other.kill()

    run(test())


def test_whoever_deletes_the_mark_of_a_living_owner_hands_the_namespace_to_nobody() -> None:
    async def test() -> None:
        api = Leases()
        owner, other = await two_releases(api)
        await asyncio.sleep(5)
        del api.leases["team"]
        assert max(await worked(2 * DURATION, owner, other)) == 1
        assert api.holder() == "one"
        owner.kill()
        del api.leases["team"]
        await asyncio.sleep(DURATION + LOOK)
        assert other.served.works_in("team"), "its holder is gone, and so the namespace is free in the end"
        other.kill()

    run(test())


def test_a_webhook_that_fails_for_leases_keeps_no_namespace_waiting() -> None:
    async def test() -> None:
        api = Leases()
        api.error = ApiUnavailable(f"500 {HOOK}", ApiError(500, "InternalError", HOOK))
        one = Release(api, "one").start()
        assert await one.works()
        assert one.served.mark("team").standing is Standing.UNMARKED
        one.kill()

    run(test())


def test_who_asks_during_a_renewal_is_looked_at_anew_and_woken() -> None:
    async def test() -> None:
        api, gate = Leases(), asyncio.Event()
        one = Release(api, "one").start()
        assert await one.works()
        accepted = api.update_lease

        async def slow(namespace: str, name: str, body: Object) -> Object:
            await gate.wait()
            return await accepted(namespace, name, body)

        api.update_lease = slow  # type: ignore[method-assign]
        await asyncio.sleep(1.3 * RENEW)  # the renewal is under way
        one.served.emptied("team")
        assert not one.served.works_in("team")
        gate.set()
        await asyncio.sleep(1)
        assert one.served.works_in("team")
        assert one.changed == ["team", "team"], "whoever was told no is woken"
        one.kill()

    run(test())


def test_a_mark_as_large_as_a_tenant_likes_is_not_kept() -> None:
    async def test() -> None:
        api, large = Leases(), lease("one")
        large["metadata"]["ownerReferences"] = [{"kind": "K", "name": f"n{n}", "uid": f"u{n}"} for n in range(20_000)]
        api.put("team", large)
        one = Release(api, "one").start()
        assert await one.works()
        await asyncio.sleep(2 * RENEW)
        assert len(json.dumps(one.keeper._held["team"])) < NOTED
        assert one.served.mark("team").standing is Standing.OURS
        one.kill()

    run(test())


def test_a_namespace_that_is_left_alone_is_named_once_however_many_runs_come_and_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        api: Any = Leases()
        api.put("team", lease("two"))
        one = Release(api, "one").start()
        for _ in range(20):
            one.served.emptied("team")
            assert not await one.works()
        one.kill()

    with caplog.at_level(logging.WARNING):
        run(test())
    assert len([record for record in caplog.records if "team" in record.getMessage()]) == 1
