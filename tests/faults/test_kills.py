"""The operator is killed before and after every write it makes, and started again: nothing is lost, nothing runs twice.

Each window has its own namespace and operators, some at a time. `make test` has the windows after each write of a run
with a retry: before the next write the cluster is the same. `make test-long` has all windows of all scenarios.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.cluster import invariants
from tests.cluster.killed_operator import AFTER, BEFORE, KILL_AT, KILL_WHEN, WRITES
from tests.cluster.kit import Object, World, namespace, task_run
from tests.cluster.operator_process import Operator
from tests.faults.scenarios import (
    CANCEL,
    CHAIN,
    DISRUPTION,
    FAILED,
    LOST,
    MISS,
    PATIENCE,
    QUICK,
    RETRY,
    SUCCESS,
    Scenario,
    hit,
    own_key,
)

from podtask.core.storage import Store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

AT_A_TIME = 4
KILLED = -9
NUMBERED = "tests.cluster.killed_operator"
RUN = "once"
WARM = own_key()
HIT = hit(WARM)
SCENARIOS = {scenario.name: scenario for scenario in (RETRY, SUCCESS, MISS, HIT, CANCEL, DISRUPTION, CHAIN)}
SHORT = (RETRY,)


def writes(scenario: Scenario) -> list[str]:
    """All writes of the operator, those for the runs before included."""
    return [what.format(run=RUN) for what in (*scenario.before, *scenario.writes)]


class Window(NamedTuple):
    """Where the operator dies."""

    scenario: str
    write: int
    position: str

    @property
    def name(self) -> str:
        return f"{self.scenario}-{self.write}-{self.position}"

    @property
    def in_short(self) -> bool:
        return SCENARIOS[self.scenario] in SHORT and (self.position == AFTER or self.write == 1)

    def expected(self) -> Scenario:
        """The scenario, with what this window does to it.

        An attempt on record whose pod was not created is lost: nobody can know that none was created late, so its
        number is used.
        """
        scenario = SCENARIOS[self.scenario]
        outcomes = list(scenario.outcomes)
        for number in range(1, len(outcomes) + 1):
            if self.write in self._between(number):
                # The task that fails once does so by its attempt's number: a lost first attempt takes its place.
                outcomes[number - 1 : number if outcomes[number - 1] == FAILED else number - 1] = [LOST]
                break
        return replace(scenario, outcomes=tuple(outcomes))

    def _between(self, attempt: int) -> range:
        """Writes at which a death leaves this attempt of the run recorded and without a pod."""
        named = writes(SCENARIOS[self.scenario])
        pod = named.index(f"POST pods {RUN}-{attempt}") + 1
        record = pod - 2  # record, Secret, pod
        return range(record if self.position == AFTER else record + 1, pod + (self.position == BEFORE))


WINDOWS = [
    Window(scenario.name, write, position)
    for scenario in SCENARIOS.values()
    for write in range(1, len(writes(scenario)) + 1)
    for position in (BEFORE, AFTER)
]
PARAMETERS = [
    pytest.param(window, id=window.name, marks=() if window.in_short else pytest.mark.long) for window in WINDOWS
]


def live(folder: Path, world: World, scenario: Scenario, successor: bool, **environment: str) -> Object:
    """One life, with an operator that numbers its writes; after its death, if it is to die, with another one."""
    if scenario is HIT:
        warm(folder, world)
    operators = [Operator(folder, world.namespace, module=NUMBERED, **environment)]
    try:
        with ThreadPoolExecutor(1) as pool:
            world.apply(*scenario.made(RUN))
            meanwhile = pool.submit(scenario.meanwhile, world, [RUN])
            if successor:  # in this thread: an operator ends together with the thread that started it
                assert operators[0].died(180) == KILLED, f"it was to die by its own hand; {operators[0].told()}"
                operators.append(Operator(folder, world.namespace))
            meanwhile.result()
        return world.finished(RUN, PATIENCE)
    finally:
        for operator in operators:
            operator.end()


def warm(folder: Path, world: World) -> None:
    """The result is there before the run is."""
    operator = Operator(folder, world.namespace)
    try:
        world.apply(task_run("warm", QUICK, cache={"key": WARM}))
        world.finished("warm", PATIENCE)
    finally:
        operator.end()


def die(folder: Path, store: Store, window: Window) -> Object:
    """One window from beginning to end; the run as it ended."""
    with namespace(f"t-kill-{window.name}") as world:
        asked = {WRITES: str(folder / window.name), KILL_AT: str(window.write), KILL_WHEN: window.position}
        live(folder, world, SCENARIOS[window.scenario], successor=True, **asked)
        for run in (name for name in world.runs if name != "warm"):
            invariants.check(world, store, run)
        ended = world.runs[RUN]
        invariants.nothing_is_left(world, RUN)
        return ended


@pytest.fixture(scope="module")
def deaths(
    request: pytest.FixtureRequest, folder: Path, store: Store, installed_is_away: None
) -> Iterator[dict[Window, Future[Object]]]:
    """All windows that this session wants, under way."""
    given = (getattr(item, "callspec", None) for item in request.session.items if item.path == request.path)
    chosen = [call.params["window"] for call in given if call is not None and "window" in call.params]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {window: pool.submit(functools.partial(die, folder, store, window)) for window in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(s, id=s.name, marks=() if s in SHORT else pytest.mark.long) for s in SCENARIOS.values()],
)
def test_the_writes_of_a_scenario_are_these(folder: Path, installed_is_away: None, scenario: Scenario) -> None:
    told = folder / f"{scenario.name}-all"
    with namespace(f"t-kill-{scenario.name}-none") as world:
        live(folder, world, scenario, successor=False, **{WRITES: str(told)})
    assert told.read_text().splitlines() == writes(scenario)


@pytest.mark.parametrize("window", PARAMETERS)
def test_a_kill_at_any_write_neither_loses_nor_repeats_anything(
    deaths: dict[Window, Future[Object]], window: Window
) -> None:
    window.expected().ended_as_it_should(deaths[window].result())
