"""What a look does with answers that are rare: writes that were overtaken, objects that went, a store that is away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import SETTINGS
from tests.support.fake_api import Object
from tests.support.operator_world import CACHED, NOW, World, reconciling
from tests.support.warm_world import WarmWorld, warm

from podtask.core.api.names import LABEL_POOL
from podtask.core.api.status import Attempt
from podtask_operator.controller.expectations import Expectations
from podtask_operator.controller.work_queue import Later
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.task_runs.flow_run import DEPTH
from podtask_operator.task_runs.key import Key

HELLO = Key("team", "hello")
FORBIDDEN = ApiError(403, "Forbidden", "not allowed")
CONFLICT = ApiError(409, "Conflict", "the object has been modified")


class TestStatus:
    @pytest.mark.parametrize("status", [404, 409])
    def test_a_generation_that_was_overtaken_is_told_at_the_next_look(self, status: int) -> None:
        @reconciling
        async def test(world: World) -> None:
            await self._patched(world)
            world.api.refused["status"] = ApiError(status, "Conflict", "changed")
            with pytest.raises(Later, match="changed meanwhile"):
                await world.look("hello")
            del world.api.refused["status"]
            await world.look("hello")
            assert world.status("hello")["observedGeneration"] == 2

        test()

    def test_a_generation_that_may_not_be_told_is_an_error(self) -> None:
        @reconciling
        async def test(world: World) -> None:
            await self._patched(world)
            world.api.refused["status"] = FORBIDDEN
            with pytest.raises(ApiError, match="not allowed"):
                await world.look("hello")

        test()

    async def _patched(self, world: World) -> None:
        """A finished run whose spec somebody has changed."""
        world.add("hello", {"cancel": True})
        await world.look("hello")
        world.api.runs["hello"]["metadata"]["generation"] = 2
        world.cluster.put_run(world.api.touch("hello", suspend=True))


class TestObserver:
    def test_a_run_in_more_flow_runs_than_there_may_be_is_not_ended_by_them(self) -> None:
        @reconciling
        async def test(world: World) -> None:
            for number in range(DEPTH + 1):
                parent = {"parent": {"name": f"f{number + 1}", "uid": f"uid-f{number + 1}"}}
                world.api.add_flow_run(f"f{number}", parent)
            world.add("hello", flow_run="f0")
            await world.look("hello")
            assert world.status("hello")["state"] == "Pending"
            assert sum(call.startswith("get flow run") for call in world.api.calls) == DEPTH

        test()

    def test_a_run_by_entrypoint_is_looked_up_without_parsing(self) -> None:
        @reconciling
        async def test(world: World) -> None:
            world.add("hello", {**CACHED, "task": {"entrypoint": "package.module:function"}})
            await world.look("hello")
            assert world.status("hello")["cache"]["key"] == "k"

        test()


class TestLaunch:
    @pytest.mark.parametrize("where", ["launch", "renewal"])
    def test_grants_without_an_answer_are_written_at_the_next_look(self, where: str) -> None:
        @reconciling
        async def test(world: World) -> None:
            world.add("hello")
            if where == "renewal":
                await world.look("hello")
                world.now = NOW + timedelta(seconds=SETTINGS.grant_seconds)
            world.api.unavailable["secret"] = ApiUnavailable("connection refused")
            with pytest.raises((Later, ApiUnavailable)):
                await world.look("hello")
            world.api.secrets.clear()
            world.api.unavailable.clear()
            await world.look("hello")
            assert len(world.api.secrets) == 1

        test()

    def test_a_run_that_went_is_given_no_grants_anew(self) -> None:
        @reconciling
        async def test(world: World) -> None:
            world.add("hello")
            await world.look("hello")
            world.now = NOW + timedelta(seconds=SETTINGS.grant_seconds)
            world.api.secrets.clear()
            del world.api.runs["hello"]
            with pytest.raises(Later):
                await world.look("hello")
            assert (world.api.secrets, world.cluster.runs) == ({}, {})

        test()


class TestClaims:
    def test_grants_that_nobody_answered_for_are_no_reason_for_a_pod_of_its_own(self) -> None:
        @warm
        async def test(world: WarmWorld) -> None:
            world.add("hello")
            world.api.unavailable["secret"] = ApiUnavailable("connection refused")
            with pytest.raises((Later, ApiUnavailable)):
                await world.look("hello")
            world.api.unavailable.clear()
            await world.look("hello")
            assert list(world.api.pods) == [world.status("hello")["attempts"][0]["claim"]["podName"]]

        test()

    def test_a_renewal_that_is_refused_is_left_to_the_timeout(self, caplog: pytest.LogCaptureFixture) -> None:
        @warm
        async def test(world: WarmWorld) -> None:
            world.add("hello")
            await world.look("hello")
            world.api.refused["renew"] = FORBIDDEN
            world.pass_(1)
            await world.look("hello")

        test()
        assert "was not renewed: " in caplog.text

    @pytest.mark.parametrize("run", ["gone", "of its own pod"])
    def test_only_a_run_with_an_idle_pod_renews_a_claim(self, run: str) -> None:
        @reconciling
        async def test(world: World) -> None:
            world.add("hello")
            held = world.cluster.runs[HELLO]
            expectations = world.cluster.expectations.of(HELLO, held.uid)
            if run == "gone":
                world.cluster.runs.pop(HELLO)
            launcher: Any = world.reconciler._launcher
            assert await launcher.renew_claim(HELLO, Attempt(1, claim=None), expectations, NOW) is None

        test()

    def test_a_claim_of_a_run_that_went_is_not_renewed(self) -> None:
        @warm
        async def test(world: WarmWorld) -> None:
            world.add("hello")
            await world.look("hello")
            held = world.cluster.runs[HELLO]
            world.restart()
            (attempt,) = held.status.attempts
            del world.api.runs["hello"]
            expectations = world.cluster.expectations.of(HELLO, held.uid)
            with pytest.raises(Later, match="is gone"):
                await world.reconciler._launcher.renew_claim(HELLO, attempt, expectations, NOW)

        test()

    def test_an_idle_pod_that_somebody_touched_before_its_removal_is_looked_at_again(self) -> None:
        @warm
        async def test(world: WarmWorld) -> None:
            world.add("hello")
            world.api.refused |= {"claim": FORBIDDEN, "remove": CONFLICT}
            with pytest.raises(Later, match="touched meanwhile"):
                await world.look("hello")
            world.api.refused.clear()
            await world.look("hello")
            assert world.status("hello")["attemptsTotal"] == 1

        test()

    def test_a_pod_whose_pool_nobody_can_tell_any_more_is_claimed_all_the_same(self) -> None:
        @warm
        async def test(world: WarmWorld) -> None:
            claim_pod = world.api.claim_pod

            async def answer(namespace: str, name: str, operations: list[Object]) -> Object:
                pod = await claim_pod(namespace, name, operations)
                labels = {key: value for key, value in pod["metadata"]["labels"].items() if key != LABEL_POOL}
                return {**pod, "metadata": {**pod["metadata"], "labels": labels}}

            world.api.claim_pod = answer  # type: ignore[method-assign]
            (idle,) = world.idle()
            world.add("hello")
            await world.look("hello")
            assert world.status("hello")["attempts"][0]["claim"]["podName"] == idle
            assert world.api.started == [(f"pod-{idle}", "uid-hello", 1)]

        test()

    def test_the_start_of_another_attempt_says_nothing_of_this_one(self) -> None:
        expectations = Expectations().of(HELLO, "uid-hello")
        work = expectations.claim_written(2, "the claim", NOW)
        expectations.started(1)
        assert expectations.expected.claim == work


class TestStop:
    def test_a_pod_that_went_before_it_was_stopped_is_looked_at_again(self) -> None:
        @reconciling
        async def test(world: World) -> None:
            world.add("hello")
            await world.look("hello")
            state = {"running": {"startedAt": "2026-01-02T04:00:00Z"}}
            status = {"phase": "Running", "containerStatuses": [{"name": "task", "state": state}]}
            world.cluster.put_pod(world.api.touch_pod("hello-1", status))
            world.cluster.put_run(world.api.touch("hello", cancel=True))

            async def gone(*_: Any) -> Any:
                world.api.pods.clear()
                raise CONFLICT

            world.api.patch_pod = gone  # type: ignore[method-assign]
            with pytest.raises(Later, match="changed meanwhile"):
                await world.look("hello")

        test()
