"""Owners' marks as a state machine: releases with clocks of their own, an API server that loses requests and answers.

Whatever is lost and whoever dies, pauses or comes back: no two releases may write into the namespace at the same time,
and once only one of them is left, it works there.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.ownership.keeper import MarkKeeper
from podtask_operator.ownership.mark import AGAIN, DURATION, LOOK, RENEW, VALID
from podtask_operator.ownership.served import Served

Object = dict[str, Any]
SPACE = "team"
RELEASES = ("one", "two", "three")
FATES = st.sampled_from(["answered", "answered", "answered", "answer lost", "request lost"])


class Server:
    """The one Lease; each request has a fate."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.versions = 0
        self.fate = "answered"

    async def get_lease(self, *_: str) -> Object | None:
        return self._answer(copy.deepcopy(self.lease))

    async def create_lease(self, _: str, body: Object) -> Object:
        self._arrives()
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "already exists")
        return self._write(body)

    async def update_lease(self, _namespace: str, _name: str, body: Object) -> Object:
        self._arrives()
        if self.lease is None:
            raise ApiError(404, "NotFound", "not found")
        if body["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._write(body)

    def _write(self, body: Object) -> Object:
        self.versions += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.versions)
        return self._answer(copy.deepcopy(self.lease))

    def _arrives(self) -> None:
        if self.fate == "request lost":
            raise ApiUnavailable("connection refused")

    def _answer(self, obj: Any) -> Any:
        if self.fate != "answered":
            raise ApiUnavailable("the connection broke")
        return obj


@dataclass
class Process:
    """The active process of one release; its clock began somewhere else than the others'."""

    release: str
    server: Server
    offset: float
    time: list[float]
    alive: bool = True
    served: Served = field(init=False)
    keeper: MarkKeeper = field(init=False)

    def __post_init__(self) -> None:
        self.served = Served(everything=False, tick=self.now)
        server: Any = self.server
        self.keeper = MarkKeeper(server, self.served, self.release, alive=lambda _: True, tick=self.now)

    def now(self) -> float:
        return self.time[0] + self.offset

    def look(self) -> None:
        self.served.works_in(SPACE)
        asyncio.run(self.keeper.look_at_due())


class Marks(RuleBasedStateMachine):
    """Three releases, one namespace."""

    @initialize(offsets=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
    def begin(self, offsets: list[float]) -> None:
        self.time = [0.0]
        self.server = Server()
        self.processes = [Process(name, self.server, at, self.time) for name, at in zip(RELEASES, offsets, strict=True)]

    @rule(turns=st.lists(st.tuples(st.integers(0, 2), FATES), min_size=1, max_size=3))
    def look(self, turns: list[tuple[int, str]]) -> None:
        """Processes whose turn it is; one that is paused has none, however long."""
        for which, fate in turns:
            process, self.server.fate = self.processes[which], fate
            if process.alive:
                process.look()
            self.server.fate = "answered"

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, RENEW, VALID - 1, VALID + 1, DURATION - 1, DURATION + 1]))
    def waits(self, seconds: float) -> None:
        self.time[0] += seconds

    @rule(which=st.sampled_from([0, 1, 2, *[None] * 9]), drained=st.booleans())
    def ends(self, which: int | None, drained: bool) -> None:
        """Drained: nothing of it is under way when it hands over. Otherwise it dies. Now and then only."""
        if which is None:
            return
        process = self.processes[which]
        if process.alive and drained:
            asyncio.run(process.keeper.hand_over())
        process.alive = False

    @rule(which=st.integers(0, 2), offset=st.floats(-1e6, 1e6))
    def starts_again(self, which: int, offset: float) -> None:
        if not self.processes[which].alive:
            self.processes[which] = Process(RELEASES[which], self.server, offset, self.time)

    @invariant()
    def at_most_one_may_write(self) -> None:
        writers = [one.release for one in getattr(self, "processes", ()) if one.alive and one.served.may_write(SPACE)]
        assert len(writers) <= 1, writers

    def teardown(self) -> None:
        """The last one works there in the end."""
        living = [process for process in getattr(self, "processes", ()) if process.alive]
        for other in living[1:]:
            other.alive = False
        for last in living[:1]:
            deadline = self.time[0] + DURATION + LOOK + AGAIN
            while not last.served.may_write(SPACE):
                assert self.time[0] <= deadline, last.served.mark(SPACE)
                last.look()
                self.time[0] += AGAIN


TestMarks = Marks.TestCase
TestMarks.settings = hypothesis_settings(max_examples=50, stateful_step_count=30, deadline=None)
