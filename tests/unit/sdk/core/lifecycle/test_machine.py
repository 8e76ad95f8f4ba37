"""The lifecycle against a hostile world: whatever happens, invariants I1 to I5, I7 and I9 of the design hold.

Hypothesis chooses what happens: refused and lost launches, POSTs without an answer, pods that end in every way, lost
nodes, restarts of the operator, events that come late, again or not at all, clocks that jump, a store that is away,
cancel, suspend, upstreams, an identical run ahead, slots that others take. What the operator expects of pods is the
operator's own code. At the end the faults stop, and the run must finish (I4).
I6 and I8 are about objects and writes: tests/faults.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.lifecycle_builders import HIT, UID, said_, upstream
from tests.support.lifecycle_world import LOST, Cluster, Operator

from podtask.core.api.names import Cause, Ended, Reason, State
from podtask.core.api.quantity import in_bytes
from podtask.core.api.status import Attempt, Status
from podtask.core.lifecycle.delays import disruption_delay, user_delay
from podtask.core.lifecycle.memory import MemoryGrowth
from podtask.core.lifecycle.model import CachePolicy, CacheView, Limit, PodPhase, Policy, Why
from podtask_runner.protocol import Verdict

FAULTS = ("conflict", "dies before the patch", "dies after the patch", "dies after the effects")
POLICIES = st.builds(
    Policy,
    retries=st.integers(0, 3),
    retry_delays=st.sampled_from([(), (5.0,), (0.5, 40.0)]),
    retry_jitter=st.sampled_from([0.0, 0.5]),
    max_disruptions=st.integers(0, 3),
    timeout_seconds=st.sampled_from([None, 30.0]),
    pending_timeout_seconds=st.sampled_from([20.0, 900.0]),
    cache=st.sampled_from([None, CachePolicy(), CachePolicy(expiration_seconds=60), CachePolicy(refresh=True)]),
    ttl_seconds=st.sampled_from([None, 0.0, 60.0]),
    deadline_seconds=st.sampled_from([None, None, 45.0, 2000.0]),
    force_after_seconds=st.sampled_from([None, 100.0]),
    on_out_of_memory=st.sampled_from([None, MemoryGrowth(2.0, 2**32, 2, 2**30), MemoryGrowth(3.0, 2**31, 9, 2**30)]),
)


class Lifecycle(RuleBasedStateMachine):
    """One TaskRun, one operator at a time."""

    @initialize(
        policy=POLICIES,
        needs=st.sampled_from([None, None, None, State.RUNNING]),
        health=st.sampled_from(["pods start and end", "pods start and end", "pods never start", "pods never end"]),
        people=st.sampled_from(["", "", "suspend", "cancel"]),
        clock=st.sampled_from(["steady", "steady", "jumps"]),
        laptop=st.sampled_from([False, False, True]),
    )
    def begin(self, policy: Policy, needs: State | None, health: str, people: str, clock: str, laptop: bool) -> None:
        self.cluster = Cluster(policy, laptop=laptop)
        self.health = health
        self.people = people
        self.clock = clock
        self.operator = Operator(self.cluster)
        self.attempts: dict[int, Attempt] = {}
        self.end: Status | None = None
        self.forgiven = 0
        self.stood_still = 0.0
        """Seconds in which the status said that the clock of the deadline stands."""
        if needs is not None:
            self.cluster.upstreams = (upstream(state=needs),)
        if policy.cache is not None:
            self.cluster.cache = CacheView("k1:abc", miss_reason="no entry")

    # the operator

    @rule()
    def reconcile(self) -> None:
        before = self.cluster.status
        decision = self.operator.reconcile()
        if decision is None:
            return
        idle = not decision.effects and decision.status == before
        moment = self.cluster.now + self.cluster.skew
        assert not idle or decision.again_at is None or decision.again_at > moment, "a busy loop"

    @rule(fault=st.sampled_from(FAULTS))
    def reconcile_badly(self, fault: str) -> None:
        self.operator.reconcile(fault)
        if fault != "conflict":
            self.restart()

    @rule()
    def restart(self) -> None:
        self.forgiven += 1
        self.operator = Operator(self.cluster)

    @rule(ending=st.sampled_from([*Verdict, *[Verdict.FAILED, Verdict.INTERRUPTED, None] * 5]), patient=st.booleans())
    def an_attempt_takes_its_course(self, ending: Verdict | None, patient: bool) -> None:
        """Without it, chance alone would rarely see a second attempt, let alone the end of a budget."""
        for _ in range(8):
            self.operator.catch_up()
            decision = self.operator.reconcile()
            self._check()
            if self.phase() is PodPhase.RUNNING:
                self.cluster.finish(self.cluster.alive[0], ending and said_(ending), oom_killed=ending is None)
                if patient and self.people == "cancel":
                    self.cancel()
                self.operator.catch_up()
                self.operator.reconcile()
                return
            if not self._progress() and patient and decision is not None and decision.again_at is not None:
                self.cluster.now = max(self.cluster.now, decision.again_at - self.cluster.skew)

    # the cluster

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 4.0, 25.0, 120.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        if self.cluster.status.suspended_at is not None:
            self.stood_still += seconds
        self.cluster.now += timedelta(seconds=seconds)

    @rule(posts=st.sampled_from(["accept", "refuse", "refuse for ever", *LOST]))
    def the_api_server_changes_its_mind(self, posts: str) -> None:
        self.cluster.posts = posts

    @rule()
    def another_pod_takes_the_name(self) -> None:
        number = self.cluster.status.attempts_total + (self.cluster.status.running is None)
        if number not in self.cluster.pods:
            self.cluster.foreign.add(number)

    @rule()
    def the_other_pod_goes(self) -> None:
        self.cluster.foreign.clear()

    @rule(which=st.integers(0, 200))
    def an_event_of_the_run_comes_late_or_again(self, which: int) -> None:
        self.operator.take_run(self.cluster.runs[which % len(self.cluster.runs)])

    @precondition(lambda self: self.cluster.pod_events)
    @rule(which=st.integers(0, 200))
    def an_event_of_a_pod_comes_late_or_again(self, which: int) -> None:
        self.operator.take_pod(self.cluster.pod_events[which % len(self.cluster.pod_events)])

    @rule()
    def the_watch_catches_up(self) -> None:
        self.operator.catch_up()

    @precondition(lambda self: self.clock == "jumps")
    @rule(seconds=st.sampled_from([-3600, -5, 0, 5, 3600]))
    def the_operators_clock_jumps(self, seconds: int) -> None:
        self.cluster.skew = timedelta(seconds=seconds)

    @rule(away=st.booleans())
    def the_store_goes_or_comes_back(self, away: bool) -> None:
        self.cluster.store_away = away

    @rule(held=st.integers(0, 2), ahead=st.integers(0, 1))
    def others_take_and_leave_slots(self, held: int, ahead: int) -> None:
        self.cluster.limits = (Limit("tag 'gpu'", 2, held, ahead),)

    @precondition(lambda self: self.cluster.alive)
    @rule()
    def the_node_is_lost(self) -> None:
        """Its pods are deleted by the taint and stay; their kubelet says nothing any more."""
        number = self.cluster.alive[0]
        self.cluster.lost.add(number)
        self.cluster.change(number, stopping=True, gone_by=self.cluster.now)

    @precondition(lambda self: self.cluster.lost)
    @rule()
    def the_node_comes_back(self) -> None:
        self.cluster.lost.clear()

    @precondition(lambda self: self.phase() is PodPhase.WAITING and not self.cluster.lost)
    @rule(why=st.sampled_from([None, Why(Reason.UNSCHEDULABLE, "no node")]))
    def the_pod_is_looked_at_by_the_scheduler(self, why: Why | None) -> None:
        self.cluster.change(self.cluster.alive[0], scheduled_at=self.cluster.now, waiting=why)

    @precondition(lambda self: self.phase() is PodPhase.WAITING and not self.cluster.lost)
    @rule()
    def the_container_starts(self) -> None:
        self.cluster.start(self.cluster.alive[0])

    @precondition(lambda self: self.phase() is PodPhase.RUNNING and not self.cluster.lost)
    @rule(verdict=st.sampled_from(list(Verdict)), told=st.booleans())
    def the_runner_ends(self, verdict: Verdict, told: bool) -> None:
        self.cluster.finish(self.cluster.alive[0], said_(verdict), told=told)

    @precondition(lambda self: self.phase() is PodPhase.RUNNING and not self.cluster.lost)
    @rule(facts=st.sampled_from([{}, {"oom_killed": True}, {"disruption": Why(Reason.EVICTED, "evicted")}]))
    def the_container_dies_without_a_word(self, facts: dict[str, Any]) -> None:
        self.cluster.finish(self.cluster.alive[0], None, **facts)

    @precondition(lambda self: self.cluster.pods and not self.operator.in_doubt(max(self.cluster.pods)))
    @rule()
    def somebody_deletes_the_pod(self) -> None:
        self.cluster.remove(max(self.cluster.pods))

    # people and other runs

    @precondition(lambda self: self.people == "cancel")
    @rule()
    def cancel(self) -> None:
        self.cluster.write(policy=replace(self.cluster.policy, cancel=True))

    @precondition(lambda self: self.people == "suspend")
    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self.forgiven += suspend
        self.cluster.write(policy=replace(self.cluster.policy, suspend=suspend))

    @precondition(lambda self: self.cluster.upstreams)
    @rule(state=st.sampled_from([None, State.RUNNING, State.COMPLETED, State.FAILED]))
    def the_upstream_changes(self, state: State | None) -> None:
        self.cluster.upstreams = (upstream(state=state),)

    @rule(needed=st.booleans())
    def another_run_needs_its_result_or_no_longer(self, needed: bool) -> None:
        self.cluster.needed = needed

    @precondition(lambda self: self.cluster.cache is not None)
    @rule(leader=st.sampled_from([None, "first"]), hit=st.sampled_from([None, None, HIT]))
    def the_cache_changes(self, leader: str | None, hit: Any) -> None:
        self.cluster.cache = CacheView("k1:abc", leader=leader, hit=hit, hit_run=hit and "earlier")

    def phase(self) -> PodPhase | None:
        alive = self.cluster.alive
        return self.cluster.pods[alive[0]].phase if alive else None

    # what must hold

    @invariant()
    def i1_one_pod_at_a_time_and_only_of_the_newest_attempt(self) -> None:
        alive, running = self.cluster.alive, self.cluster.status.running
        assert not alive or (running is not None and alive == [running.number])
        assert len(set(self.cluster.created)) == len(self.cluster.created)

    @invariant()
    def i2_budgets_are_kept_and_numbers_are_used_once(self) -> None:
        status, policy = self.cluster.status, self.cluster.policy
        assert status.retries_used <= policy.retries
        assert status.disruptions_used <= policy.max_disruptions
        growth = policy.on_out_of_memory
        assert status.out_of_memory_used <= (growth.attempts if growth else 0)
        budgets = status.retries_used + status.disruptions_used + status.out_of_memory_used
        assert status.attempts_total <= 1 + budgets + self.forgiven
        numbers = [attempt.number for attempt in status.attempts]
        assert numbers == list(range(status.attempts_total - len(numbers) + 1, status.attempts_total + 1))
        judged = [attempt.outcome for attempt in self.attempts.values() if attempt.judged]
        paid = {Ended.FAILED, Ended.TIMED_OUT} | ({Ended.OUT_OF_MEMORY} if growth is None else set())
        assert sum(end in paid for end in judged) <= policy.retries + 1
        assert all(attempt.judged for attempt in status.attempts[:-1])

    @invariant()
    def i2_memory_grows_by_kills_alone_and_never_beyond_its_maximum(self) -> None:
        growth = self.cluster.policy.on_out_of_memory
        kills = 0
        for number in sorted(self.attempts):
            attempt = self.attempts[number]
            kills += attempt.cause is Cause.OUT_OF_MEMORY
            assert (
                growth is None
                or attempt.cause is not Cause.OUT_OF_MEMORY
                or growth.text(kills) != growth.text(kills - 1)
            )
            assert attempt.memory == (growth.text(kills) if growth is not None and kills else None)
            assert attempt.memory is None or (growth is not None and in_bytes(attempt.memory) <= growth.most)
        assert kills <= self.cluster.status.out_of_memory_used

    @invariant()
    def i4_no_run_ends_before_its_deadline_because_of_it(self) -> None:
        policy, status = self.cluster.policy, self.cluster.status
        if status.reason is not Reason.DEADLINE_EXCEEDED or not status.finished or self.clock == "jumps":
            return
        assert policy.deadline_seconds is not None
        assert status.started_at is not None
        assert status.finished_at is not None
        counted = (status.finished_at - status.started_at).total_seconds() - self.stood_still
        assert counted >= policy.deadline_seconds - 1e-3

    @invariant()
    def i5_nothing_starts_after_the_deadline(self) -> None:
        policy, status = self.cluster.policy, self.cluster.status
        if policy.deadline_seconds is None or status.started_at is None or self.clock == "jumps":
            return
        end = status.started_at + timedelta(seconds=policy.deadline_seconds + (status.suspended_seconds or 0))
        for attempt in self.attempts.values():
            assert attempt.recorded_at is not None
            assert attempt.recorded_at < end

    @invariant()
    def i2_a_judged_attempt_never_changes(self) -> None:
        for attempt in self.cluster.status.attempts:
            known = self.attempts.get(attempt.number)
            assert known is None or not known.judged or known == attempt
            assert known is None or known.recorded_at == attempt.recorded_at
            self.attempts[attempt.number] = attempt

    @invariant()
    def i3_an_end_is_written_once_and_success_has_a_result(self) -> None:
        status = self.cluster.status
        assert status.finished is status.state.finished
        assert self.end is None or status == self.end
        if not status.finished:
            return
        self.end = status
        assert status.running is None
        assert status.next_attempt_at is None
        if status.state is State.COMPLETED:
            assert status.result is not None
            assert status.result.attempt == status.attempts_total
            stored = self.cluster.stored[status.attempts_total].result
            assert stored is not None
            assert stored.digest == status.result.digest
        if status.state is State.CACHED:
            assert not self.cluster.created

    @invariant()
    def i3_a_stored_result_of_the_newest_attempt_is_never_thrown_away(self) -> None:
        status = self.cluster.status
        for number, said in self.cluster.stored.items():
            if said.outcome is Verdict.COMPLETED and (status.finished or number < status.attempts_total):
                assert status.state is State.COMPLETED
                assert number == status.attempts_total

    @invariant()
    def i5_nothing_starts_before_its_delay(self) -> None:
        retries = disruptions = 0
        for number in sorted(self.attempts)[1:]:
            before, attempt = self.attempts[number - 1], self.attempts[number]
            assert before.finished_at is not None
            assert attempt.recorded_at is not None
            early = self.cluster.ends.get(number - 1, before.finished_at) > before.finished_at
            assert not early or self.clock == "jumps", "an early end"
            delay = timedelta(0)
            if attempt.cause is Cause.RETRY:
                retries += 1
                delay = user_delay(self.cluster.policy, retries, UID)
            elif attempt.cause is Cause.OUT_OF_MEMORY:
                pass
            elif before.reason not in (Reason.LOST, Reason.SUSPENDED):
                disruptions += 1
                delay = disruption_delay(disruptions)
            assert attempt.recorded_at >= before.finished_at + delay

    @invariant()
    def i7_user_code_starts_at_most_once_per_attempt(self) -> None:
        assert len(set(self.cluster.started)) == len(self.cluster.started)
        assert set(self.cluster.created) <= set(range(1, self.cluster.status.attempts_total + 1))

    @invariant()
    def i9_only_results_are_published_and_only_when_asked_for(self) -> None:
        assert not self.cluster.published or self.cluster.policy.cache is not None

    @invariant()
    def a_run_is_deleted_only_after_its_time_to_live(self) -> None:
        if self.cluster.deleted and self.clock == "steady":
            assert self.end is not None
            assert self.end.finished_at is not None
            assert self.cluster.policy.ttl_seconds is not None
            assert self.cluster.now >= self.end.finished_at + timedelta(seconds=self.cluster.policy.ttl_seconds)

    def teardown(self) -> None:
        """I4: the faults end; by its own timers and the cluster's ordinary progress alone the run finishes."""
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        cluster.posts = "accept"
        cluster.foreign.clear()
        cluster.lost.clear()
        cluster.skew, cluster.store_away, cluster.limits = timedelta(0), False, ()
        cluster.write(policy=replace(cluster.policy, suspend=False))
        if cluster.upstreams:
            cluster.upstreams = (upstream(),)
        if cluster.cache is not None:
            cluster.cache = CacheView("k1:abc")
        for _ in range(120):
            before = cluster.status
            self.operator.catch_up()
            decision = self.operator.reconcile()
            self._check()
            assert decision is not None, "nothing is away any more"
            if cluster.status.finished:
                self._goes_in_time(cluster.status)
                return
            if cluster.status != before or self._progress(self.health):
                continue
            if decision.again_at is None and not decision.effects and self.health == "pods never end":
                assert cluster.policy.timeout_seconds is None
                assert cluster.policy.deadline_seconds is None
                assert cluster.status.state in (State.RUNNING, State.RETRYING)
                return
            assert decision.effects or decision.again_at is not None, f"it waits for nothing: {decision}"
            cluster.now = max(cluster.now, decision.again_at or cluster.now)
        raise AssertionError(f"it does not finish: {cluster.status}")

    def _goes_in_time(self, ended: Status) -> None:
        """Once nobody needs it any more, it is deleted at the end of its time to live."""
        cluster, seconds = self.cluster, self.cluster.policy.ttl_seconds
        cluster.needed = False
        if seconds is None or ended.finished_at is None:
            return
        cluster.now = max(cluster.now, ended.finished_at + timedelta(seconds=seconds))
        self.operator.catch_up()
        self.operator.reconcile()
        assert cluster.deleted

    def _progress(self, health: str = "") -> bool:
        """What a healthy cluster does next: the watch tells, pods start and end, deleted pods go."""
        cluster = self.cluster
        if cluster.lost & set(cluster.alive):
            return False
        if self.phase() is PodPhase.WAITING and cluster.pods[cluster.alive[0]].stopping:
            cluster.remove(cluster.alive[0])
        elif self.phase() is PodPhase.WAITING and health == "pods never start":
            if cluster.pods[cluster.alive[0]].scheduled_at is not None:
                return False
            cluster.change(cluster.alive[0], scheduled_at=cluster.now)
        elif self.phase() is PodPhase.WAITING:
            cluster.start(cluster.alive[0])
        elif self.phase() is PodPhase.RUNNING:
            stopping = cluster.pods[cluster.alive[0]].stopping
            if health == "pods never end" and not stopping:
                return False
            cluster.finish(cluster.alive[0], said_(Verdict.INTERRUPTED if stopping else Verdict.COMPLETED))
        else:
            return False
        return True

    def _check(self) -> None:
        for name in dir(type(self)):
            if name.startswith(("i1_", "i2_", "i3_", "i4_", "i5_", "i7_", "i9_")):
                getattr(self, name)()


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
    )


def test_invariants() -> None:
    run_state_machine_as_test(Lifecycle, settings=_settings(1_000, 30))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_invariants_for_long() -> None:
    run_state_machine_as_test(Lifecycle, settings=_settings(6_000, 60))
