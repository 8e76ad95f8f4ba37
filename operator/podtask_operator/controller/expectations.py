"""What this process did about TaskRuns and their pods, and what no watch has shown yet. As client-go's expectations.

    recording, recorded, accepted, refused, ... (writers)  ──┐
    Learned (one look)                                      ─┴─> RunExpectations ──> Expected, frozen ──> observer

Lost at a restart, and then asked from the API server. Everything is written here, by verbs; others read `expected`.
What becomes of a pod is one table: `podtask.core.lifecycle.pod_expectation`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from podtask.core.lifecycle.model import CacheView, Refusal, Why
from podtask.core.lifecycle.pod_expectation import PodExpectation
from podtask_operator.pods.events import CloserLook
from podtask_operator.runtime.supervise import pause
from podtask_operator.task_runs.cache_key import Composed
from podtask_operator.task_runs.cache_race import Races
from podtask_operator.task_runs.flow_run import Object
from podtask_operator.task_runs.key import Key

FIRST_RETRY = 1.0
LAST_RETRY = 30.0
NO_ATTEMPT = PodExpectation(0)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class ClaimWork:
    """What this process wrote for an attempt that takes an idle pod."""

    attempt: int
    text: str
    """The claim, for the grants that were written last."""
    since: datetime
    """When this process first wrote it."""
    renewals: int = 0
    started: bool = False
    """The runner says that the attempt has started: the claim has arrived."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A lookup that found no entry."""

    key: str
    at: datetime
    view: CacheView
    stored: int
    """Entries that runs of the race had stored."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one TaskRun at this moment."""

    uid: str
    seen_at: float
    """When the TaskRun was seen first, by the process's own clock."""
    pod: PodExpectation = NO_ATTEMPT
    """Of the newest attempt that was looked at or recorded."""
    records: frozenset[tuple[int, datetime | None]] = frozenset()
    """Attempt and `recordedAt` of each record that was sent and had no answer: whichever is stored, its pod is ours to
    POST. Sent again before the watch tells of it, a record has another time."""
    sent_against: str | None = None
    """resourceVersion that the record of an attempt was sent against, while nobody knows whether it was taken.
    It holds its slots meanwhile: the write can take effect only as long as this is the stored version."""
    renew_at: datetime | None = None
    """When the grants of the running attempt are to be written anew; None: another process wrote them."""
    claim: ClaimWork | None = None
    """Of the attempt that takes an idle pod, once this process has written its grants."""
    cache_key: str | None = None
    """The TaskRun takes part in the race for this key."""
    composed: Composed | None = None
    claimed: bool = False
    """Its first attempt is being recorded: identical runs wait for it although no stored status says so yet."""
    rang: int | None = None
    """Attempt whose runner says that its outcome is stored, until that is looked up (`events.doorbell`)."""
    rang_at: float | None = None
    """When it said so last, by the process's own clock."""
    missed: Missed | None = None
    """The last lookup of its cache key, where it found nothing."""
    closer: CloserLook | None = None
    """What the Events of a pod said that waits and does not say why."""
    ungated: tuple[int, datetime] | None = None
    """Attempt whose pod had been gated, and when it was first seen without its gates: the pod itself tells no time."""
    waited: bool = False
    """It was told to wait, before its first attempt."""
    announced: bool = False
    """Its end was told to the runs that wait for it."""
    dropped: str | None = None
    """Why its lookup dropped a cache entry, until an Event says so."""
    repeated: str | None = None
    """What an Event said last: that the bucket refused the operator, or that a TaskRun is too large for its end."""

    def pod_of(self, attempt: int) -> PodExpectation:
        """What is expected of the pod of attempt `number`. Only the running attempt has expectations."""
        return self.pod if self.pod.attempt == attempt else PodExpectation(attempt)


@dataclass(frozen=True, slots=True)
class Learned:
    """What one look has found out, for `RunExpectations.learn` and the informer cache to take in."""

    pod: PodExpectation | None = None
    composed: Composed | None = None
    """The cache key that the run is about to look up."""
    dropped: str | None = None
    missed: Missed | None = None
    closer: CloserLook | None = None
    ungated: tuple[int, datetime] | None = None
    pods: tuple[Object, ...] = ()
    """Live reads of pods that the watch has not shown."""
    flow_runs: dict[str, Object | None] = field(default_factory=dict)
    """UID -> live read of a FlowRun that the watch has not shown; None: it is gone."""


class RunExpectations:
    """The expectations of one TaskRun, and the methods that change them."""

    __slots__ = ("_created_at", "_expected", "_held", "_key", "_races")

    def __init__(self, key: Key, uid: str, races: Races, created_at: datetime) -> None:
        self._key, self._races, self._held, self._created_at = key, races, True, created_at
        self._expected = Expected(uid, time.monotonic())

    @property
    def expected(self) -> Expected:
        """The current expectations, frozen."""
        return self._expected

    # the record of an attempt

    def recording(self, attempt: int, recorded_at: datetime | None, version: str) -> None:
        """The record of an attempt is about to be sent, with this resourceVersion as its precondition."""
        records = self._expected.records | {(attempt, recorded_at)}
        self._set(records=records, sent_against=version)
        self._claim(claimed=True)

    def answered(self) -> None:
        """The API server refused the status. No write is in doubt, and no identical run waits for this one."""
        self._set(sent_against=None)
        self._claim(claimed=False)

    def stored(self, version: str) -> bool:
        """True where the stored status can be trusted: no record sent against this version may still arrive."""
        if self._expected.sent_against == version:
            return False
        if self._expected.sent_against is not None:
            self._set(sent_against=None)
        return True

    def recorded(self, attempt: int) -> None:
        """The attempt is recorded. No pod was created for it yet."""
        self._set_pod(self._expected.pod_of(attempt).recorded())

    # its pod

    def accepted(self, attempt: int, uid: str, now: datetime) -> None:
        """The API server has created the pod."""
        self._set_pod(self._expected.pod_of(attempt).accepted(uid, now))

    def unanswered(self, attempt: int, why: Why | None = None, now: datetime | None = None) -> None:
        """The POST may or may not have taken effect. `why`: the error of the API server, where there was one."""
        pod = self._expected.pod_of(attempt)
        refusal = None if why is None or now is None else self._refusal(pod, why, now, final=False)
        self._set_pod(pod.unanswered(refusal))

    def refused(self, attempt: int, why: Why, now: datetime, *, final: bool) -> None:
        """The pod, or a Secret that it needs, was refused. It is tried again with back-off, unless `final`."""
        pod = self._expected.pod_of(attempt)
        self._set_pod(pod.refused(self._refusal(pod, why, now, final=final)))

    def name_taken(self, attempt: int) -> None:
        """The POST failed because another pod has the name."""
        self._set_pod(self._expected.pod_of(attempt).name_taken())

    def shown(self, attempt: int, uid: str) -> None:
        """The POST failed because the pod exists already, made by an earlier POST."""
        self._set_pod(self._expected.pod_of(attempt).shown(uid))

    def renew_at(self, moment: datetime) -> None:
        """Set the time at which the grants of the attempt must be renewed."""
        self._set(renew_at=moment)

    def revoked(self) -> None:
        """The Secrets with the grants were deleted."""
        self._set(renew_at=None)

    # an idle pod

    def unclaimed(self, attempt: int) -> None:
        """The attempt does not get the idle pod that was chosen, and never will."""
        self._set_pod(self._expected.pod_of(attempt).unclaimed())
        self._set(claim=None)

    def claim_written(self, attempt: int, text: str, now: datetime, renewals: int = 0) -> ClaimWork:
        """The grants for an idle pod were written. `text` is the claim that belongs to them."""
        held = self._expected.claim
        same = held is not None and held.attempt == attempt
        work = replace(held, text=text) if held is not None and same else ClaimWork(attempt, text, now, renewals)
        self._set(claim=work)
        return work

    def claim_renewed(self, work: ClaimWork) -> ClaimWork:
        """The claim was written once more."""
        renewed = replace(work, renewals=work.renewals + 1)
        self._set(claim=renewed)
        return renewed

    def started(self, attempt: int) -> None:
        """The runner has reported the start of the attempt."""
        held = self._expected.claim
        if held is not None and held.attempt == attempt:
            self._set(claim=replace(held, started=True))

    # the race for a cache key

    def join(self, cache_key: str, *, recorded: bool = False) -> None:
        """Enter the race for the cache key. `recorded`: an attempt is recorded. A deleted TaskRun does not enter."""
        if not self._held:
            return
        expected = self._expected
        if expected.cache_key not in (None, cache_key):
            self.leave()
        self._set(cache_key=cache_key)
        age = (self._created_at, expected.seen_at, expected.uid)
        self._races.join(self._key, cache_key, age, claimed=expected.claimed, recorded=recorded)

    def leave(self, *, stored: bool = False) -> None:
        """Leave the race. `stored`: there is a cache entry that the others can use."""
        if self._expected.cache_key is not None:
            self._races.leave(self._key, self._expected.cache_key, stored=stored)
            self._set(cache_key=None)

    def withdraw(self) -> None:
        """Another run may go first, because this one cannot go on by itself: suspended, deleted, or refused."""
        self.leave()
        self._set(claimed=False)

    def stand_down(self) -> None:
        """The TaskRun, as seen last, must not lead the race."""
        if self._expected.cache_key is not None:
            self._races.stand_down(self._key, self._expected.cache_key)

    def _claim(self, *, claimed: bool) -> None:
        self._set(claimed=claimed)
        if self._expected.cache_key is not None:
            self._races.claim(self._key, self._expected.cache_key, claimed=claimed)

    # looks, and what people are told

    def look(self) -> Expected:
        """The expectations for one look. A datagram counts for one look only, also when that look fails."""
        expected = self._expected
        if expected.rang is not None:
            self._set(rang=None)
        return expected

    def learn(self, learned: Learned) -> None:
        """Store what a look has found out."""
        if learned.pod is not None:
            self._set_pod(learned.pod)
        if learned.composed is not None and learned.composed.key is not None:
            self._set(composed=learned.composed)
            self.join(learned.composed.key)
        if learned.dropped is not None:
            self._set(dropped=learned.dropped)
        if learned.missed is not None:
            self._set(missed=learned.missed)
        if learned.closer is not None:
            self._set(closer=learned.closer)
        if learned.ungated is not None:
            self._set(ungated=learned.ungated)

    def ring(self, attempt: int, at: float, apart: float) -> bool:
        """A datagram named the attempt. Returns False when the last one came less than `apart` seconds ago."""
        last = self._expected.rang_at
        if last is not None and at - last < apart:
            return False
        self._set(rang=attempt, rang_at=at)
        return True

    def wait(self) -> None:
        """The TaskRun had to wait before its first attempt."""
        self._set(waited=True)

    def announce(self) -> bool:
        """Note that waiting runs are told of the end. Returns False when they were told before."""
        first = not self._expected.announced
        self._set(announced=True)
        return first

    @property
    def settled(self) -> bool:
        """True when waiting runs were told of the end, and nothing else is left to do."""
        expected = self._expected
        doubtful = expected.sent_against is not None or expected.records or expected.rang is not None
        return expected.announced and not doubtful and expected.renew_at is None and expected.cache_key is None

    def new_to_say(self, text: str) -> bool:
        """Note the text of an Event. Returns False when the last Event had the same text."""
        new = self._expected.repeated != text
        self._set(repeated=text)
        return new

    def take_dropped(self) -> str | None:
        """The reason why a cache entry was dropped, or None. Each reason is returned once."""
        dropped = self._expected.dropped
        self._set(dropped=None)
        return dropped

    def forget(self, *, stored: bool = False) -> None:
        """The TaskRun was deleted. See `leave` for `stored`."""
        self._held = False
        self.leave(stored=stored)

    @staticmethod
    def _refusal(pod: PodExpectation, why: Why, now: datetime, *, final: bool) -> Refusal:
        wait = timedelta(seconds=pause(pod.refusals + 1, FIRST_RETRY, LAST_RETRY))
        return Refusal(why, final=final, retry_at=now + wait)

    def _set_pod(self, pod: PodExpectation) -> None:
        """Records of earlier attempts, and of this one, are decided by now."""
        self._set(pod=pod, records=frozenset(record for record in self._expected.records if record[0] > pod.attempt))

    def _set(self, **changes: Any) -> None:
        self._expected = replace(self._expected, **changes)


class Expectations:
    """The expectations of every TaskRun in the informer cache."""

    def __init__(self) -> None:
        self.races = Races()
        self._runs: dict[Key, RunExpectations | str] = {}
        """Or the UID alone, of a TaskRun that has ended: its end was told, and nothing is expected any more."""

    def held(self, key: Key, uid: str) -> RunExpectations | None:
        """The expectations of the TaskRun with this UID, or None where there are none."""
        run = self._runs.get(key)
        return run if isinstance(run, RunExpectations) and run.expected.uid == uid else None

    def settle(self, key: Key, uid: str) -> None:
        """The TaskRun has ended. When nothing is left to do, only that fact is kept."""
        run = self.held(key, uid)
        if run is not None and run.settled:
            self._runs[key] = uid

    def of(self, key: Key, uid: str, created_at: datetime = EPOCH) -> RunExpectations:
        """The expectations of the TaskRun with this UID. They begin empty when the UID is new."""
        run = self.held(key, uid)
        if run is None:
            told = self._runs.get(key) == uid
            self.forget(key)
            run = self._runs[key] = RunExpectations(key, uid, self.races, created_at)
            if told:
                run.announce()
        return run

    def forget(self, key: Key, *, stored: bool = False) -> None:
        """The TaskRun was deleted. `stored`: it has left a cache entry."""
        run = self._runs.pop(key, None)
        if isinstance(run, RunExpectations):
            run.forget(stored=stored)
