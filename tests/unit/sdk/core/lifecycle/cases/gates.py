"""The gates before an attempt: invalid, suspended, upstreams, cache, delay, limits; and the launch."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lifecycle_builders import HIT, T0, at, awaiting, failed_upstream, seen, upstream
from tests.unit.sdk.core.lifecycle.cases.case import CACHE, INVALID, VIEW, Case, limit, suspended

from podtask.core.api.names import CacheOutcome, Cause, Reason, State
from podtask.core.api.status import CacheInfo, ErrorInfo
from podtask.core.lifecycle.model import CachePolicy, CacheView, Launch, Policy

CASES: dict[str, Case] = {
    # 5. invalid
    "an invalid spec ends the run with the cure": Case(
        seen(invalid=INVALID),
        0,
        "invalid",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={"error": ErrorInfo("InvalidSpec", INVALID.message, cure=INVALID.cure), "attempts": ()},
    ),
    # 6. suspended
    "a suspended run waits": Case(
        seen(policy=Policy(suspend=True)), 0, "suspended", State.PENDING, Reason.SUSPENDED, again=None
    ),
    "a suspended retry keeps its time": Case(
        seen(awaiting(60), policy=Policy(suspend=True)),
        99,
        "suspended",
        State.PENDING,
        Reason.SUSPENDED,
        has={"next_attempt_at": at(60)},
    ),
    # 7. upstream
    "a failed upstream ends the run as NotReady": Case(
        seen(policy=Policy(retries=3), upstreams=(upstream("a"), upstream("b", State.FAILED))),
        0,
        "upstream",
        State.NOT_READY,
        Reason.UPSTREAM_FAILED,
        has={
            "message": "Upstream task run 'b' did not reach a 'COMPLETED' state (it is Failed).",
            "retries_used": 0,
        },
    ),
    "a NotReady upstream ends the run as NotReady": Case(
        seen(upstreams=(upstream(state=State.NOT_READY),)), 0, "upstream", State.NOT_READY
    ),
    "a failed upstream counts for order alone, too": Case(
        seen(upstreams=(upstream(state=State.CANCELLED, wants_data=False),)), 0, "upstream", State.NOT_READY
    ),
    "a failed upstream says more than a missing one": Case(
        seen(upstreams=(upstream("a", None), upstream("b", State.CRASHED))), 99, "upstream", State.NOT_READY
    ),
    "an unfinished upstream is waited for without a word at first": Case(
        seen(upstreams=(upstream(state=State.RUNNING),)), 2.9, "upstream", writes=False, again=at(3)
    ),
    "an unfinished upstream is waited for": Case(
        seen(upstreams=tuple(upstream(name, State.RUNNING) for name in "abcd")),
        3,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=None,
        has={"message": "Waiting for a, b, c …."},
    ),
    "a missing upstream is waited for within a minute": Case(
        seen(upstreams=(upstream(state=None),)),
        59.9,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=at(60),
    ),
    "a missing upstream is an invalid spec after a minute": Case(
        seen(upstreams=(upstream("typo", None),)),
        60,
        "upstream",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={"message": "There is no TaskRun 'typo' in this namespace."},
    ),
    "an upstream that was made anew is gone": Case(
        seen(upstreams=(replace(upstream("up", None), replaced=True),)),
        60,
        "upstream",
        State.FAILED,
        Reason.INVALID_SPEC,
        has={
            "message": "TaskRun 'up' has another UID than the one that is needed: it was deleted and made anew.",
        },
    ),
    "data is resolved at the first launch, order alone brings none": Case(
        seen(upstreams=(upstream("a"), upstream("b", wants_data=False))),
        0,
        "due",
        effects=(Launch(1),),
        has={"inputs": (upstream("a").result,)},
    ),
    "a cached upstream is as good as a completed one": Case(
        seen(upstreams=(upstream(state=State.CACHED),)), 0, "due", effects=(Launch(1),)
    ),
    "an upstream that is gone or made anew after the first launch changes nothing": Case(
        seen(awaiting(60), upstreams=(upstream("a", None), upstream("b", State.FAILED))),
        60,
        "due",
        effects=(Launch(2),),
    ),
    "an upstream that may fail and did starts the run, with what it failed with": Case(
        seen(upstreams=(failed_upstream("a"), upstream("b"))),
        0,
        "due",
        effects=(Launch(1),),
        has={"inputs": (failed_upstream("a").result, upstream("b").result), "failed_upstream": None},
    ),
    "an upstream that may fail is waited for, too": Case(
        seen(upstreams=(upstream("a", State.AWAITING_RETRY, may_fail=True), upstream("b", State.RUNNING))),
        3,
        "upstream",
        State.PENDING,
        Reason.WAITING_FOR_UPSTREAM,
        again=None,
        has={"message": "Waiting for a, b."},
    ),
    "beside one that may fail another one may not": Case(
        seen(upstreams=(failed_upstream("a"), upstream("b", State.TIMED_OUT))),
        0,
        "upstream",
        State.NOT_READY,
        Reason.UPSTREAM_FAILED,
        has={"failed_upstream": "b"},
    ),
    "an upstream that may fail and is not there is an invalid spec, too": Case(
        seen(upstreams=(upstream("typo", None, may_fail=True),)), 60, "upstream", State.FAILED, Reason.INVALID_SPEC
    ),
    "order alone brings no failure either": Case(
        seen(upstreams=(failed_upstream("a", State.CANCELLED, wants_data=False),)),
        0,
        "due",
        effects=(Launch(1),),
        has={"inputs": ()},
    ),
    # 8. cache
    "a hit ends the run without a pod": Case(
        seen(policy=Policy(cache=CACHE), cache=CacheView("k1:abc", hit=HIT, hit_run="earlier", expires_at=at(50))),
        0,
        "cached",
        State.CACHED,
        Reason.CACHED,
        has={
            "result": HIT,
            "attempts": (),
            "finished_at": T0,
            "cache": CacheInfo("k1:abc", CacheOutcome.HIT, "earlier", at(50)),
        },
    ),
    "an identical run that goes first is waited for without a word at first": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, leader="first")), 1, "cached", writes=False, again=at(3)
    ),
    "an identical run that goes first is waited for": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, leader="first")),
        3,
        "cached",
        State.PENDING,
        Reason.WAITING_FOR_CACHE,
        has={"cache": CacheInfo("k1:abc", CacheOutcome.WAITING, "first")},
    ),
    "an identical run is not waited for when asked not to": Case(
        seen(policy=Policy(cache=CachePolicy(wait_for_concurrent=False)), cache=replace(VIEW, leader="first")),
        0,
        "due",
        effects=(Launch(1),),
    ),
    "refresh runs in spite of a hit, and keeps the key to write": Case(
        seen(policy=Policy(cache=CachePolicy(refresh=True)), cache=replace(VIEW, hit=HIT, leader="first")),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo("k1:abc", CacheOutcome.MISS, miss_reason="no entry"), "result": None},
    ),
    "a run without a key runs and says why": Case(
        seen(policy=Policy(cache=CACHE), cache=CacheView(None, off_reason="argument `f` cannot be hashed")),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo(outcome=CacheOutcome.OFF, miss_reason="argument `f` cannot be hashed")},
    ),
    "a miss is noted at the first launch": Case(
        seen(policy=Policy(cache=CACHE), cache=VIEW),
        0,
        "due",
        effects=(Launch(1),),
        has={"cache": CacheInfo("k1:abc", CacheOutcome.MISS, miss_reason="no entry")},
    ),
    "a retry does not look into the cache": Case(
        seen(awaiting(60), policy=Policy(cache=CACHE), cache=replace(VIEW, hit=HIT)), 60, "due", effects=(Launch(2),)
    ),
    # 10. due
    "a run with nothing in its way is recorded and launched": Case(
        seen(),
        0,
        "due",
        State.PENDING,
        Reason.SCHEDULING,
        effects=(Launch(1),),
        has={"started_at": T0, "attempts_total": 1, "cache": None},
        last={"number": 1, "cause": Cause.FIRST, "recorded_at": T0, "outcome": None},
    ),
    "a retry never starts early": Case(
        seen(awaiting(60)), 59.999999, "delayed", State.AWAITING_RETRY, writes=False, again=at(60)
    ),
    "a retry starts in time": Case(
        seen(awaiting(60)),
        60,
        "due",
        State.RETRYING,
        effects=(Launch(2),),
        has={"next_attempt_at": None},
        last={"number": 2, "cause": Cause.RETRY},
    ),
    "a resumed retry that is not due says again what it waits for": Case(
        seen(awaiting(60, state=State.PENDING, reason=Reason.SUSPENDED, message="spec.suspend is true.")),
        30,
        "delayed",
        State.AWAITING_RETRY,
        Reason.EXCEPTION,
        again=at(60),
        has={"message": "boom"},
    ),
    # 9. limits
    "a run under a limit with a free slot starts": Case(seen(limits=(limit(),)), 0, "due", effects=(Launch(1),)),
    "a run that finds no slot is not told of within three seconds": Case(
        seen(limits=(limit(held=2),)), 2.9, "queued", writes=False, again=at(3)
    ),
    "a run that finds no slot waits, and says for which limit": Case(
        seen(limits=(limit(), limit("tag 'db'", held=2))),
        3,
        "queued",
        State.PENDING,
        Reason.QUEUED,
        again=None,
        has={"message": "Waiting for a slot: the limit of tag 'db' (2) is reached.", "attempts": ()},
    ),
    "a free slot that an older run takes first is not free": Case(
        seen(limits=(limit(held=1, ahead=1),)), 3, "queued", State.PENDING, Reason.QUEUED
    ),
    "more slots held than allowed, after the limit was lowered, is no error": Case(
        seen(limits=(limit(held=7),)), 3, "queued", State.PENDING, Reason.QUEUED
    ),
    "a limit of 0 waits and says who can change that": Case(
        seen(limits=(limit("namespace 'team'", allowed=0),)),
        3,
        "queued",
        State.PENDING,
        Reason.QUEUED,
        has={"message": "The limit of namespace 'team' is 0: nothing starts there until the administrator raises it."},
    ),
    "a retry that is due waits for a slot like any other, and keeps its number": Case(
        seen(awaiting(60), limits=(limit(held=2),)),
        60,
        "queued",
        State.PENDING,
        Reason.QUEUED,
        has={"next_attempt_at": at(60), "attempts_total": 1},
    ),
    "a retry that got its slot starts": Case(
        seen(awaiting(60, state=State.PENDING, reason=Reason.QUEUED), limits=(limit(),)),
        90,
        "due",
        State.RETRYING,
        effects=(Launch(2),),
    ),
    "a retry in its delay takes no place in the line": Case(
        seen(awaiting(60), limits=(limit(held=2),)), 30, "delayed", writes=False, again=at(60)
    ),
    "a cached result needs no slot": Case(
        seen(policy=Policy(cache=CACHE), cache=replace(VIEW, hit=HIT, hit_run="earlier"), limits=(limit(held=2),)),
        0,
        "cached",
        State.CACHED,
    ),
    "a suspended run takes no place in the line": Case(
        seen(policy=Policy(suspend=True), limits=(limit(held=2),)), 3, "suspended", State.PENDING, Reason.SUSPENDED
    ),
    # the clock of the deadline
    "a suspended retry stops the clock of the deadline": Case(
        seen(awaiting(60), policy=Policy(suspend=True, deadline_seconds=90)),
        20,
        "suspended",
        State.PENDING,
        again=None,
        has={"suspended_at": at(20)},
    ),
    "a run that is suspended before its first attempt has no clock to stop": Case(
        seen(policy=Policy(suspend=True, deadline_seconds=90)), 20, "suspended", has={"suspended_at": None}
    ),
    "a resumed retry starts its clock again, without the time it was suspended": Case(
        seen(suspended(20), policy=Policy(deadline_seconds=70)),
        1000,
        "due",
        State.RETRYING,
        effects=(Launch(2),),
        again=at(1050),
        has={"suspended_at": None, "suspended_seconds": 980.0},
    ),
    "a resumed retry that is not due starts its clock again": Case(
        seen(suspended(20), policy=Policy(deadline_seconds=70)),
        30,
        "delayed",
        State.AWAITING_RETRY,
        again=at(60),
        has={"suspended_at": None, "suspended_seconds": 10.0},
    ),
    "the times of several suspensions add up": Case(
        seen(suspended(20, suspended_seconds=5.0), policy=Policy(deadline_seconds=70)),
        80,
        "due",
        effects=(Launch(2),),
        has={"suspended_seconds": 65.0},
    ),
    "a clock that was set back while the run was suspended gives it no time": Case(
        seen(suspended(200, next_attempt_at=at(10)), policy=Policy(deadline_seconds=300)),
        100,
        "due",
        effects=(Launch(2),),
        has={"suspended_seconds": 0.0},
    ),
}
