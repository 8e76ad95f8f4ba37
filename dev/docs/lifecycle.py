"""Which state can follow which: not drawn by hand, but asked of the rules themselves.

`transitions()` plays every kind of world against `decide`, from the first status on, and writes down what follows
what and by which rule. docs/explanation/lifecycle.md and its picture are made of the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from podtask.core.api.names import Reason, State
from podtask.core.api.status import ResultInfo, Status
from podtask.core.lifecycle import decide
from podtask.core.lifecycle.memory import MemoryGrowth
from podtask.core.lifecycle.model import (
    CachePolicy,
    CacheView,
    Limit,
    Observed,
    Pod,
    PodPhase,
    Policy,
    Presence,
    Refusal,
    Upstream,
    Why,
)
from podtask_runner.protocol import Error, Outcome, Result, Verdict

T0 = datetime(2026, 1, 1, tzinfo=timezone.utc)
DIGEST = "ab" * 32
STEPS = 7
"""Longer stories bring no new pair: there is one retry and one disruption to use up."""
LATER = (timedelta(seconds=1), timedelta(seconds=10), timedelta(hours=1))
WHY = Why(Reason.QUOTA, "no")
HIT = ResultInfo(DIGEST, 1, "json", attempt=1, source_uid="other")
POLICY = Policy(retries=1, retry_delays=(5.0,), max_disruptions=1, timeout_seconds=60.0, cache=CachePolicy())
POLICIES = (
    POLICY,
    replace(POLICY, retries=0),
    replace(POLICY, suspend=True),
    replace(POLICY, cancel=True),
    replace(POLICY, deadline_seconds=8.0),
    replace(POLICY, on_out_of_memory=MemoryGrowth(2.0, 2**31, 1, 2**30)),
)

Transitions = Mapping[tuple[State, State], frozenset[str]]


@functools.cache
def transitions() -> Transitions:
    """(state, next state) -> the rules that lead there; a state that stays is no transition."""
    found: dict[tuple[State, State], set[str]] = {}
    seen: set[tuple[object, ...]] = set()
    level = [(Status(), T0)]
    for _ in range(STEPS):
        following = []
        for status, now in level:
            for observed, then in _worlds(status, now):
                decision = decide(observed, then)
                after = decision.status
                if after.state is not status.state:
                    found.setdefault((status.state, after.state), set()).add(decision.rule)
                if not after.finished and _shape(after) not in seen:
                    seen.add(_shape(after))
                    following.append((after, then))
        level = following
    return {pair: frozenset(rules) for pair, rules in found.items()}


def _shape(status: Status) -> tuple[object, ...]:
    """What a further decision may depend on, without times and texts."""
    latest = status.latest
    return (
        status.state,
        status.reason,
        status.retries_used,
        status.disruptions_used,
        status.out_of_memory_used,
        min(status.attempts_total, 4),
        latest and (latest.judged, latest.reason, latest.pod_uid is None),
        status.next_attempt_at is None,
    )


def _worlds(status: Status, now: datetime) -> Iterator[tuple[Observed, datetime]]:
    for after in LATER:
        then = now + after
        for policy in POLICIES:
            seen = Observed("uid", T0, policy, status)
            yield from ((one, then) for one in (_pods(seen, then) if status.running else _gates(seen)))


def _gates(seen: Observed) -> Iterator[Observed]:
    """Nothing runs: what may keep it from starting."""
    yield seen
    yield replace(seen, deleting=True)
    yield replace(seen, limits=(Limit("tag 'gpu'", allowed=1, held=1),))
    if seen.status.attempts_total:
        return  # upstreams, cache and spec are asked before the first attempt
    yield replace(seen, invalid=Why(Reason.INVALID_SPEC, "no"))
    yield replace(seen, upstreams=(Upstream("up", exists=True),))
    yield replace(seen, upstreams=(Upstream("up", exists=False),))
    yield replace(seen, upstreams=(Upstream("up", exists=True, finished=True, state="Failed"),))
    yield replace(seen, cache=CacheView("k", hit=HIT, hit_run="other"))
    yield replace(seen, cache=CacheView("k", leader="other"))


def _pods(seen: Observed, now: datetime) -> Iterator[Observed]:
    """An attempt is recorded: what may have become of its pod."""
    attempt = seen.status.running
    assert attempt is not None
    if attempt.pod_uid is None:
        yield replace(seen, presence=Presence.UNPOSTED)
        for final in (True, False):
            yield replace(seen, presence=Presence.UNPOSTED, refusal=Refusal(WHY, final, now))
        yield replace(seen, presence=Presence.FOREIGN)
    yield replace(seen, presence=Presence.EXPECTED)
    yield replace(seen, presence=Presence.ABSENT)
    began = attempt.started_at or attempt.recorded_at
    pod = Pod("pod", PodPhase.WAITING, scheduled_at=attempt.recorded_at)
    shown = replace(seen, presence=Presence.SEEN, pod=pod)
    if attempt.started_at is None:
        yield shown
        yield replace(shown, pod=replace(pod, waiting=Why(Reason.IMAGE_PULL, "no")))
    runs = replace(shown, pod=replace(pod, phase=PodPhase.RUNNING, started_at=began))
    yield runs
    yield replace(runs, stored=_said(Verdict.COMPLETED))
    ended = replace(pod, phase=PodPhase.ENDED, started_at=began)
    yield replace(shown, pod=replace(ended, oom_killed=True))
    yield replace(shown, pod=replace(ended, disruption=Why(Reason.EVICTED, "no")))
    for outcome in (None, *map(_said, Verdict)):
        yield replace(shown, pod=replace(ended, outcome=outcome))


def _said(verdict: Verdict) -> Outcome:
    if verdict is Verdict.COMPLETED:
        return Outcome(verdict, Result(DIGEST, 1, "json"))
    return Outcome(verdict, error=Error(type="ValueError", message="no"))
