"""Of two operators one serves: who waits, who takes over, who ends. In virtual time, on a Lease in a dict."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from tests.support.virtual_time import run

from podtask_operator.kube.client import IN_FLIGHT, ApiError, ApiUnavailable
from podtask_operator.process.leader_election import DRAINED, DURATION, LOOK, RENEW, STEM, VALID, Lease, Lost, name_of

Object = dict[str, Any]


class Leases:
    """The one Lease, with resourceVersions; it can be away."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.writes = 0
        self.away = False

    async def get_lease(self, *_: str) -> Object | None:
        self._answer()
        return copy.deepcopy(self.lease)

    async def create_lease(self, _: str, lease: Object) -> Object:
        self._answer()
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "already exists")
        return self._put(lease)

    async def update_lease(self, _namespace: str, _name: str, lease: Object) -> Object:
        self._answer()
        if self.lease is None:
            raise ApiError(404, "NotFound", "not found")
        if lease["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._put(lease)

    @property
    def holder(self) -> str:
        return self.lease["spec"]["holderIdentity"] if self.lease else ""

    def _put(self, lease: Object) -> Object:
        self.writes += 1
        self.lease = copy.deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(self.writes)
        return copy.deepcopy(self.lease)

    def _answer(self) -> None:
        if self.away:
            raise ApiUnavailable("connection refused")


def now() -> float:
    return asyncio.get_running_loop().time()


def lease(api: Leases, identity: str) -> Lease:
    return Lease(api, "system", "podtask-operator", identity, tick=now)  # type: ignore[arg-type]


def test_the_first_one_serves_and_writes_its_renewals_and_nothing_else() -> None:
    async def test() -> None:
        api = Leases()
        first = lease(api, "first")
        assert not first.valid()
        await first.acquire()
        keeping = asyncio.create_task(first.keep())
        await asyncio.sleep(20 * RENEW + 0.1)
        assert (api.holder, api.writes, first.valid(), first.waits_for) == ("first", 21, True, None)
        keeping.cancel()

    run(test())


def test_the_second_one_waits_and_says_for_whom() -> None:
    async def test() -> None:
        api = Leases()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        keeping, waiting = asyncio.create_task(first.keep()), asyncio.create_task(second.acquire())
        await asyncio.sleep(600)
        assert (second.valid(), second.waits_for, waiting.done()) == (False, "it is held by first", False)
        assert (first.stands_by, second.stands_by) == (False, True)
        api.away = True
        await asyncio.sleep(LOOK)
        assert not second.stands_by, "it could not take over now"
        keeping.cancel()
        waiting.cancel()

    run(test())


def test_a_released_lease_is_taken_at_once() -> None:
    async def test() -> None:
        api = Leases()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(3)
        before = now()
        await first.release()
        assert not first.valid()
        await waiting
        assert now() - before <= LOOK
        assert api.lease is not None
        assert api.lease["spec"]["leaseTransitions"] == 2  # released, taken

    run(test())


def test_a_holder_that_is_silent_is_followed_after_the_leases_duration_and_never_earlier() -> None:
    async def test() -> None:
        api = Leases()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        killed_at = now()
        await second.acquire()
        assert DURATION <= now() - killed_at <= DURATION + LOOK
        assert not first.valid()

    run(test())


def test_a_holder_that_comes_back_too_late_ends_with_a_sentence() -> None:
    async def test() -> None:
        api = Leases()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        await second.acquire()
        with pytest.raises(Lost, match=r"taken over by second while first could not renew it\. This process ends"):
            await first.keep()
        assert api.holder == "second"

    run(test())


def test_while_the_api_server_is_away_nothing_is_written_and_afterwards_the_holder_goes_on() -> None:
    async def test() -> None:
        api = Leases()
        first = lease(api, "first")
        await first.acquire()
        keeping = asyncio.create_task(first.keep())
        api.away = True
        await asyncio.sleep(VALID - 0.1)
        assert first.valid()
        await asyncio.sleep(600)
        assert not first.valid()
        assert "did not answer" in (first.waits_for or "")
        api.away = False
        await asyncio.sleep(LOOK)
        assert (first.valid(), first.waits_for, keeping.done()) == (True, None, False)
        keeping.cancel()

    run(test())


def test_a_lease_that_somebody_deleted_or_noted_something_on_is_still_the_holders() -> None:
    async def test() -> None:
        api = Leases()
        first = lease(api, "first")
        await first.acquire()
        keeping = asyncio.create_task(first.keep())
        api.lease = None
        await asyncio.sleep(RENEW + 2 * LOOK)
        assert api.holder == "first"
        assert api.lease is not None
        api.lease["metadata"] |= {"resourceVersion": "noted", "annotations": {"note": "kept"}}
        await asyncio.sleep(RENEW + 2 * LOOK)
        assert first.valid()
        assert api.lease["metadata"]["annotations"] == {"note": "kept"}
        keeping.cancel()

    run(test())


def test_the_pod_that_holds_it_owns_it_so_that_it_goes_with_the_last_one() -> None:
    async def test() -> None:
        api = Leases()
        for identity in ("one", "other"):
            held = Lease(api, "system", "podtask-operator", identity, pod_uid=f"uid-{identity}", tick=now)  # type: ignore[arg-type]
            await held.acquire()
            await held.release()
            assert api.lease is not None
            owner = {"apiVersion": "v1", "kind": "Pod", "name": identity, "uid": f"uid-{identity}"}
            assert api.lease["metadata"]["ownerReferences"] == [owner]

    run(test())


def test_a_container_that_is_started_again_goes_on_at_once() -> None:
    async def test() -> None:
        api, before = Leases(), now()
        await lease(api, "pod").acquire()
        await lease(api, "pod").acquire()
        assert now() == before

    run(test())


def test_a_lease_that_may_not_be_written_is_waited_for_with_the_servers_sentence() -> None:
    class Forbidden(Leases):
        async def get_lease(self, *_: str) -> Object | None:
            raise ApiError(403, "Forbidden", "leases is forbidden")

    async def test() -> None:
        first = lease(Forbidden(), "first")
        waiting = asyncio.create_task(first.acquire())
        await asyncio.sleep(5)
        assert first.waits_for == "the API server refused (403): leases is forbidden"
        waiting.cancel()

    run(test())


def test_each_set_of_namespaces_has_its_lease() -> None:
    assert name_of(()) == STEM
    assert name_of(("a", "b")) == name_of(("b", "a", "b")) != name_of(("a",)) != STEM


def test_after_a_clean_hand_over_nothing_is_late() -> None:
    async def test() -> None:
        api = Leases()
        first, second = lease(api, "first"), lease(api, "second")
        await first.acquire()
        await first.release(drained=True)
        await second.acquire()
        assert second.late() == 0.0
        await second.release()  # it was not drained: the note of the one before must not speak for it
        third = lease(api, "third")
        await third.acquire()
        assert third.late() == IN_FLIGHT

    run(test())


@pytest.mark.parametrize("identity", ["first", "second"])
def test_after_a_death_writes_of_the_one_before_may_be_late_for_as_long_as_a_request_may_take(identity: str) -> None:
    """Also under the same identity: a container that is started again in its pod."""

    async def test() -> None:
        api = Leases()
        await lease(api, "first").acquire()
        successor = lease(api, identity)
        await successor.acquire()
        assert successor.late() == IN_FLIGHT
        keeping = asyncio.create_task(successor.keep())
        await asyncio.sleep(IN_FLIGHT / 2)
        assert 0 < successor.late() <= IN_FLIGHT / 2  # renewals do not begin it anew
        await asyncio.sleep(IN_FLIGHT / 2)
        assert successor.late() == 0.0
        keeping.cancel()

    run(test())


def test_what_others_noted_on_the_lease_stays() -> None:
    async def test() -> None:
        api = Leases()
        first = lease(api, "first")
        await first.acquire()
        assert api.lease is not None
        api.lease["metadata"]["annotations"] = {"note": "of somebody"}
        second = lease(api, "first")
        await second.acquire()
        await second.release(drained=True)
        assert api.lease["metadata"]["annotations"] == {"note": "of somebody", DRAINED: "true"}

    run(test())
