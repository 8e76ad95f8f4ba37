"""The keeper of owners' marks: when it takes over, what it writes, what it says, and what it does without rights."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import Counter
from typing import Any

import pytest
from tests.support.virtual_time import run

from podtask.core.api.names import OWNER_LEASE
from podtask_operator.kube.client import IN_FLIGHT, ApiError, ApiUnavailable
from podtask_operator.ownership.keeper import IDLE, TRIES, MarkKeeper
from podtask_operator.ownership.mark import DURATION, HANDED_OVER, LONGEST, LOOK, RENEW, VALID, Standing, renewal
from podtask_operator.ownership.served import Served

Object = dict[str, Any]


class Leases:
    """The owners' marks of all namespaces."""

    def __init__(self) -> None:
        self.leases: dict[str, Object] = {}
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.versions = 0

    async def get_lease(self, namespace: str, name: str) -> Object | None:
        self._ask("GET", namespace, name)
        return copy.deepcopy(self.leases.get(namespace))

    async def create_lease(self, namespace: str, lease: Object) -> Object:
        self._ask("POST", namespace, lease["metadata"]["name"])
        if namespace in self.leases:
            raise ApiError(409, "AlreadyExists", "already exists")
        return self.put(namespace, lease)

    async def update_lease(self, namespace: str, name: str, lease: Object) -> Object:
        self._ask("PUT", namespace, name)
        if namespace not in self.leases:
            raise ApiError(404, "NotFound", "not found")
        if lease["metadata"].get("resourceVersion") != self.leases[namespace]["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self.put(namespace, lease)

    def put(self, namespace: str, lease: Object) -> Object:
        self.versions += 1
        held = self.leases[namespace] = copy.deepcopy(lease)
        held["metadata"]["resourceVersion"] = str(self.versions)
        return copy.deepcopy(held)

    def holder(self, namespace: str = "team") -> Any:
        return self.leases[namespace]["spec"]["holderIdentity"]

    def writes(self) -> list[str]:
        return [line for line in self.asked if not line.startswith("GET")]

    def _ask(self, method: str, namespace: str, name: str) -> None:
        assert name == OWNER_LEASE
        self.asked.append(f"{method} {namespace}")
        if self.error is not None:
            raise self.error


class Release:
    """A process of one, in virtual time."""

    def __init__(self, api: Any, name: str, *, alive: bool = True) -> None:
        self.alive, self.changed = alive, list[str]()
        self.served = Served(everything=False, tick=now)
        self.keeper = MarkKeeper(
            api, self.served, name, alive=lambda _: self.alive, changed=self.changed.append, tick=now
        )
        self.task: asyncio.Task[None] | None = None

    def start(self) -> Release:
        self.task = asyncio.create_task(self.keeper.run())
        return self

    def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()

    async def works(self, namespace: str = "team") -> bool:
        """Asked, and once more after the keeper had a moment."""
        self.served.works_in(namespace)
        await asyncio.sleep(0.01)
        return self.served.works_in(namespace)


def now() -> float:
    return asyncio.get_running_loop().time()


def lease(holder: Any, seconds: Any = DURATION) -> Object:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds}
    return {"metadata": {"name": OWNER_LEASE, "namespace": "team"}, "spec": spec}


def test_who_asks_first_works_there_and_is_woken() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert not one.served.works_in("team")
        await asyncio.sleep(0.01)
        assert (one.served.works_in("team"), one.served.may_write("team"), one.changed) == (True, True, ["team"])
        assert (api.asked, api.holder()) == (["GET team", "POST team"], "one")
        assert not one.served.may_write("other"), "a namespace that nobody asked for"
        one.kill()

    run(test())


def test_at_rest_a_namespace_costs_one_write_per_minute_and_nothing_once_nothing_in_it_is_alive() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert await one.works()
        await asyncio.sleep(10 * RENEW)
        assert api.asked[:2] == ["GET team", "POST team"]
        assert set(api.asked[2:]) == {"PUT team"}
        assert len(api.asked[2:]) == 10 * RENEW // renewal("team")
        one.alive = False
        await asyncio.sleep(2 * IDLE)
        asked = len(api.asked)
        await asyncio.sleep(10 * IDLE)
        assert len(api.asked) == asked <= 2 + (10 * RENEW + IDLE) // renewal("team") + 1
        assert await one.works(), "its own mark that ran out is taken at once"
        assert one.changed == ["team", "team"]
        one.kill()

    run(test())


@pytest.mark.parametrize("first_look", [0.1, 1.0, RENEW / 2, RENEW - 0.1])
def test_a_release_that_died_is_followed_after_the_duration_and_when_it_could_write_no_more(first_look: float) -> None:
    async def test() -> None:
        api = Leases()
        one, two = Release(api, "one").start(), Release(api, "two").start()
        assert await one.works()
        written = now()
        await asyncio.sleep(first_look)
        assert not await two.works()
        assert two.served.of_another("team")
        one.kill()
        last = now()
        while not two.served.works_in("team"):
            last = now() if one.served.may_write("team") else last
            await asyncio.sleep(0.5)
        assert VALID - 1 < last - written <= VALID
        assert not one.served.may_write("team")
        assert now() - written >= VALID + IN_FLIGHT, "a write that began while it was valid could still arrive"
        assert DURATION <= now() - written <= first_look + DURATION + LOOK
        assert two.served.late("team") > IN_FLIGHT - 2, "an attempt without a pod is not lost before that"
        await asyncio.sleep(IN_FLIGHT)
        assert two.served.late("team") == 0.0
        two.kill()

    run(test())


def test_while_the_owner_lives_the_other_waits_and_both_say_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        api = Leases()
        one, two = Release(api, "a/one").start(), Release(api, "b/two").start()
        assert await one.works()
        for _ in range(100):
            assert not await two.works()
            await asyncio.sleep(RENEW)
        assert one.served.works_in("team")
        assert api.holder() == "a/one"
        one.kill()
        two.kill()

    with caplog.at_level(logging.WARNING):
        run(test())
    (line,) = caplog.messages
    assert line.startswith("namespace team is left alone: the release 'a/one' works there (Lease team/podtask-owner).")
    assert "take it out of watchNamespaces of one of them" in line


def test_its_own_mark_is_taken_at_once_by_a_restart_or_a_standby() -> None:
    async def test() -> None:
        api = Leases()
        before = Release(api, "one").start()
        assert await before.works()
        before.kill()
        again = Release(api, "one")
        await again.keeper.take(["team"])
        assert again.served.works_in("team")
        assert again.served.late("team") == 0.0, "late writes of the same release are the Lease's matter"

    run(test())


def test_after_a_clean_end_others_wait_a_moment_for_the_release_itself() -> None:
    async def test() -> None:
        api = Leases()
        one, two = Release(api, "one").start(), Release(api, "two").start()
        assert await one.works()
        assert not await two.works()
        one.kill()
        await one.keeper.hand_over()
        assert not one.served.may_write("team")
        await asyncio.sleep(HANDED_OVER)
        assert not two.served.works_in("team")
        await asyncio.sleep(LOOK + 1)
        assert two.served.works_in("team")
        two.kill()

    run(test())


def test_a_hand_over_that_comes_after_its_own_standby_took_the_mark_changes_nothing() -> None:
    async def test() -> None:
        api = Leases()
        before, standby = Release(api, "one"), Release(api, "one")
        await before.keeper.take(["team"])
        await standby.keeper.take(["team"])
        await before.keeper.hand_over()
        assert api.leases["team"]["spec"]["leaseDurationSeconds"] == DURATION

    run(test())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ApiError(403, "Forbidden", 'leases is forbidden: User "x" cannot get'), "served without an owner's mark"),
        (ApiError(403, "Forbidden", "exceeded quota: count/leases"), "exceeded quota: count/leases"),
        (ApiError(403, "Forbidden", "unable to create: namespace team is being terminated"), None),
        (ApiError(404, "NotFound", 'namespaces "team" not found'), None),
    ],
)
def test_without_a_mark_it_goes_on_as_without_marks_and_says_so_once(
    error: ApiError, words: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        api = Leases()
        api.error = error
        one = Release(api, "one").start()
        for namespace in ("team", "other"):
            assert await one.works(namespace)
            assert one.served.may_write(namespace)
        assert one.served.count(Standing.UNMARKED) == 2
        await asyncio.sleep(10 * IDLE)
        assert one.served.works_in("team")
        api.error = None
        await asyncio.sleep(IDLE + 1)
        assert (api.holder("team"), one.served.count(Standing.UNMARKED)) == ("one", 0)
        one.kill()

    with caplog.at_level(logging.WARNING):
        run(test())
    assert len(caplog.messages) == (words is not None)
    assert words is None or words in caplog.text


def test_while_the_api_server_is_away_it_may_write_until_another_could_take_over() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert await one.works()
        api.error = ApiUnavailable("connection refused")
        await asyncio.sleep(VALID - 1)
        assert one.served.may_write("team")
        await asyncio.sleep(2)
        assert not one.served.may_write("team")
        assert not await one.works("other")
        api.error = None
        await asyncio.sleep(3)
        assert one.served.may_write("team")
        assert one.served.works_in("other")
        one.kill()

    run(test())


def test_a_namespace_that_was_made_anew_is_looked_at_before_anything_is_done_there() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert await one.works()
        one.served.emptied("team")
        api.put("team", lease("two"))
        assert one.served.may_write("team"), "what is under way may end"
        assert not one.served.works_in("team")
        await asyncio.sleep(0.01)
        assert one.served.of_another("team")
        assert not one.served.may_write("team")
        one.kill()

    run(test())


@pytest.mark.parametrize("alive", [False, True], ids=["nothing is alive there", "its last TaskRun has not gone yet"])
def test_a_namespace_that_has_gone_is_asked_for_only_while_something_in_it_is_known(alive: bool) -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert await one.works()
        one.served.emptied("team")
        del api.leases["team"]
        api.error, one.alive = ApiError(404, "NotFound", 'namespaces "team" not found'), alive
        one.served.works_in("team")
        await asyncio.sleep(IDLE / 2)
        count = len(api.asked)
        one.alive = False
        await asyncio.sleep(IDLE)
        assert len(api.asked) - count <= (2 if alive else 0)
        api.error, one.alive = None, True
        assert await one.works(), "a namespace of that name came anew"
        assert api.holder() == "one"
        one.kill()

    run(test())


def test_whoever_deletes_the_mark_of_a_living_owner_does_not_end_it() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one").start()
        assert await one.works()
        del api.leases["team"]
        await asyncio.sleep(renewal("team") + 1)
        assert (api.holder(), one.served.works_in("team")) == ("one", True)
        one.kill()

    run(test())


@pytest.mark.parametrize("holder", [None, "", 7, {"a": 1}])
@pytest.mark.parametrize("seconds", [None, -1, 0, "x", True, 10**12])
def test_an_odd_mark_holds_nobody_up(holder: Any, seconds: Any) -> None:
    async def test() -> None:
        api = Leases()
        api.put("team", lease(holder, seconds))
        one = Release(api, "one").start()
        assert await one.works()
        assert (api.holder(), api.leases["team"]["spec"]["leaseDurationSeconds"]) == ("one", DURATION)
        one.kill()

    run(test())


def test_what_a_tenant_writes_into_it_is_bounded_and_escaped(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        api = Leases()
        api.put("team", lease("\x1b[31m\n" + "x" * 5000, 10**12) | {"status": "odd"})
        api.leases["team"]["spec"]["leaseTransitions"] = 2**31 - 1
        one = Release(api, "one").start()
        assert not await one.works()
        await asyncio.sleep(LONGEST + LOOK)
        assert one.served.works_in("team")
        assert api.leases["team"]["spec"]["leaseTransitions"] < 2**31
        one.kill()

    with caplog.at_level(logging.WARNING):
        run(test())
    assert "\x1b" not in caplog.text
    assert max(map(len, caplog.messages)) < 700


def test_the_marks_of_many_namespaces_are_taken_before_anything_is_done_and_renewed_apart() -> None:
    async def test() -> None:
        api = Leases()
        one = Release(api, "one")
        names = [f"team-{number}" for number in range(100)]
        await one.keeper.take(names)
        assert all(map(one.served.works_in, names))
        one.start()
        api.asked.clear()
        moments: Counter[int] = Counter()
        for _ in range(10 * int(RENEW)):
            before = len(api.writes())
            await asyncio.sleep(1)
            moments[int(now())] = len(api.writes()) - before
        assert 950 < len(api.writes()) < 1050, "of 500 namespaces 8 per second"
        assert max(list(moments.values())[90:]) < 20, "not all at once"
        one.kill()

    run(test())


def test_a_mark_that_others_write_all_the_time_is_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    class Contested(Leases):
        async def create_lease(self, namespace: str, lease: Object) -> Object:
            self._ask("POST", namespace, lease["metadata"]["name"])
            if self.writes().count(f"POST {namespace}") <= TRIES:
                raise ApiError(409, "AlreadyExists", "already exists")
            return self.put(namespace, lease)

    async def test() -> None:
        one = Release(Contested(), "one").start()
        assert not await one.works()
        await asyncio.sleep(30)
        assert one.served.works_in("team")
        one.kill()

    run(test())
    assert "others write it all the time" in caplog.text


def test_who_serves_everything_without_marks_may_write_everywhere() -> None:
    assert Served(everything=True).may_write("team")
