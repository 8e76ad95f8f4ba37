"""What one process expects of the pod of an attempt, beyond what its watch has shown. Pure: no clock, no I/O.

    record, POST, answers, watch, live GET ──> Fact ──> TRANSITIONS ──> Creation ──> Presence ──> rules

A watch is late and an answer can be lost, so what this process wrote counts until the cluster has shown the outcome.
Next: `rules.pod_to_come`. Kept for each TaskRun by the operator's `controller.expectations`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from podtask.core.lifecycle.model import Presence, Refusal
from podtask.core.lifecycle.rules import LOOK_AGAIN


class Creation(enum.Enum):
    """How far the creation of an attempt's pod has come, as this process knows it."""

    UNKNOWN = "another process recorded the attempt, or this one before a restart"
    UNPOSTED = "this process recorded the attempt; no POST was accepted, and none is in doubt"
    ACCEPTED = "the POST was accepted, and nothing has shown the pod yet"
    IN_DOUBT = "the POST had no answer: it may have been applied"
    NAME_TAKEN = "the POST met a pod of somebody else: ours was not created"
    SEEN = "the watch or a live GET has shown the pod"
    GONE = "a live GET found no pod, and no POST of this process is open"


class Fact(enum.Enum):
    """What this process did or was shown."""

    RECORDED = "the status with the attempt is stored, and this process wrote it"
    ACCEPTED = "the POST was accepted"
    REFUSED = "the POST was refused, for a reason that may pass"
    UNANSWERED = "the POST had no answer"
    NAME_TAKEN = "the POST was refused: a pod of somebody else has the name"
    SHOWN = "a pod of the name is there, and ours"
    MISSING = "a live GET found no pod of the name"


TRANSITIONS: Final[Mapping[tuple[Creation, Fact], Creation]] = {
    # what this process writes
    (Creation.UNKNOWN, Fact.RECORDED): Creation.UNPOSTED,
    (Creation.UNPOSTED, Fact.ACCEPTED): Creation.ACCEPTED,
    (Creation.UNPOSTED, Fact.REFUSED): Creation.UNPOSTED,
    (Creation.UNPOSTED, Fact.UNANSWERED): Creation.IN_DOUBT,
    (Creation.UNPOSTED, Fact.NAME_TAKEN): Creation.NAME_TAKEN,
    # the pod is there, whoever created it
    (Creation.UNKNOWN, Fact.SHOWN): Creation.SEEN,
    (Creation.UNPOSTED, Fact.SHOWN): Creation.SEEN,
    (Creation.ACCEPTED, Fact.SHOWN): Creation.SEEN,
    (Creation.IN_DOUBT, Fact.SHOWN): Creation.SEEN,
    (Creation.NAME_TAKEN, Fact.SHOWN): Creation.SEEN,
    (Creation.GONE, Fact.SHOWN): Creation.SEEN,
    # there is none
    (Creation.UNKNOWN, Fact.MISSING): Creation.GONE,
    (Creation.ACCEPTED, Fact.MISSING): Creation.GONE,
    (Creation.SEEN, Fact.MISSING): Creation.GONE,
    (Creation.NAME_TAKEN, Fact.MISSING): Creation.UNPOSTED,
    (Creation.IN_DOUBT, Fact.MISSING): Creation.UNPOSTED,  # sent again: of two POSTs of a name one is refused
}
"""The whole table. A pair that is not in it changes nothing."""

PRESENCE: Final[Mapping[Creation, Presence]] = {
    Creation.UNPOSTED: Presence.UNPOSTED,
    Creation.ACCEPTED: Presence.EXPECTED,
    Creation.SEEN: Presence.SEEN,
    Creation.GONE: Presence.ABSENT,
}
"""What the rules see of it. In the other states the pod is looked up before anything is decided."""


@dataclass(frozen=True)
class PodExpectation:
    """The pod of one attempt."""

    attempt: int
    creation: Creation = Creation.UNKNOWN
    uid: str | None = None
    """Of the pod, once an answer, the watch or a live GET has named it."""
    accepted_at: datetime | None = None
    refusal: Refusal | None = None
    """The last refusal of a POST that nothing has overtaken."""
    refusals: int = 0
    """In a row."""
    released: bool = False
    """The idle pod that was chosen for the attempt is not its own, and never will be."""

    @property
    def presence(self) -> Presence:
        """What the rules see, after a look-up where one is due."""
        return PRESENCE[self.creation]

    def look_up_due(self, now: datetime) -> bool:
        """Whether a pod that the watch does not show is to be asked for by its name."""
        if self.creation is Creation.ACCEPTED and self.accepted_at is not None:
            return now >= self.accepted_at + LOOK_AGAIN
        return self.creation is not Creation.UNPOSTED

    def recorded(self) -> PodExpectation:
        """The attempt is on record, by this process."""
        return self._after(Fact.RECORDED)

    def accepted(self, uid: str, now: datetime) -> PodExpectation:
        """The API server created the pod."""
        return replace(self._after(Fact.ACCEPTED), uid=uid, accepted_at=now, refusal=None, refusals=0)

    def refused(self, refusal: Refusal) -> PodExpectation:
        """The API server, or what is asked before the POST, refused it."""
        return replace(self._after(Fact.REFUSED), refusal=refusal, refusals=self.refusals + 1)

    def unanswered(self, refusal: Refusal | None = None) -> PodExpectation:
        """The answer to the POST was lost, or it said why the POST failed and not whether it was applied."""
        after = self._after(Fact.UNANSWERED)
        return after if refusal is None else replace(after, refusal=refusal, refusals=self.refusals + 1)

    def name_taken(self) -> PodExpectation:
        """The POST met a pod of somebody else."""
        return replace(self._after(Fact.NAME_TAKEN), refusal=None, refusals=0)

    def shown(self, uid: str) -> PodExpectation:
        """The pod is there."""
        return replace(self._after(Fact.SHOWN), uid=uid, refusal=None, refusals=0)

    def missing(self) -> PodExpectation:
        """There is no pod of the name."""
        return self._after(Fact.MISSING)

    def unclaimed(self) -> PodExpectation:
        """The idle pod that was chosen is another's, or was removed unclaimed: no pod of the attempt exists."""
        return PodExpectation(self.attempt, Creation.UNPOSTED, released=True)

    def claim_missing(self) -> PodExpectation:
        """The idle pod is gone, and whether it was claimed before nobody knows. Unlike a name, it never comes again."""
        return replace(self, creation=Creation.GONE)

    def _after(self, fact: Fact) -> PodExpectation:
        return replace(self, creation=TRANSITIONS.get((self.creation, fact), self.creation))
