"""What an offer costs does not hang on the pools and idle pods of others."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from tests.support.builders import SETTINGS, run
from tests.support.operator_world import NOW

from podtask_operator.task_runs.key import Key
from podtask_operator.warm_pods import idle_pod, stock
from podtask_operator.warm_pods.stock import Stock


def warm_pool(namespace: str, name: str = "fast") -> dict[str, Any]:
    meta = {"namespace": namespace, "name": name, "uid": f"pool-{namespace}-{name}", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"size": 2}}


def filled(others: int) -> Stock:
    """Idle pods of the run's own namespace and of so many others."""
    found = Stock()
    for namespace in ("team", *(f"other-{n}" for n in range(others))):
        found.put_pool(warm_pool(namespace))
        pool = found.pools[Key(namespace, "fast")]
        for number in (1, 2):
            name = f"fast-{number}"
            pod = idle_pod.idle_pod(pool, name, SETTINGS)
            pod["metadata"].update(uid=f"{namespace}-{name}", creationTimestamp=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
            found.put_pod(Key(namespace, name), pod)
    return found


def steps(others: int) -> int:
    """Instructions that one offer takes in the informer cache of pools."""
    found, count = filled(others), 0

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != stock.__file__:
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        offer = found.offer(run({}), SETTINGS, NOW)
    finally:
        sys.settrace(before)
    assert offer is not None
    assert offer.pool == Key("team", "fast")
    return count


def test_an_offer_costs_the_same_with_ten_times_as_many_pools_elsewhere() -> None:
    assert steps(2) == steps(20)


def test_the_pod_of_a_pool_is_built_once_however_many_runs_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = filled(0), []
    build = stock.fingerprint
    monkeypatch.setattr(stock, "fingerprint", lambda *arguments: asked.append(arguments[0].name) or build(*arguments))
    for number in range(5):
        found.offer(run({}, name=f"run-{number}"), SETTINGS, NOW)
    assert asked.count("fast") == 1


def test_a_pool_made_anew_under_its_name_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    found = filled(0)
    assert found.offer(run({}), SETTINGS, NOW) is not None
    found.forget_pool(Key("team", "fast"))
    assert found.offer(run({}), SETTINGS, NOW) is None
    again = warm_pool("team")
    again["metadata"]["uid"], again["spec"]["python"] = "another", "3.11"
    again["spec"]["env"] = [{"name": "A", "value": "1"}]
    found.put_pool(again)
    assert found.offer(run({}), SETTINGS, NOW) is None, "its pods have an environment"


def test_idle_pods_are_those_of_the_pool_by_name_and_go_with_their_label() -> None:
    found = filled(1)
    names = [pod["metadata"]["uid"] for pod in found.idle(Key("team", "fast"))]
    assert names == ["team-fast-1", "team-fast-2"]
    moved = idle_pod.idle_pod(found.pools[Key("team", "fast")], "fast-1", SETTINGS)
    moved["metadata"].update(uid="team-fast-1")
    moved["metadata"]["labels"]["podtask.dev/pool"] = "slow"
    found.put_pod(Key("team", "fast-1"), moved)
    assert [pod["metadata"]["uid"] for pod in found.idle(Key("team", "fast"))] == ["team-fast-2"]
    assert [pod["metadata"]["uid"] for pod in found.idle(Key("team", "slow"))] == ["team-fast-1"]
    found.forget_pod(Key("team", "fast-1"), "team-fast-1")
    assert found.idle(Key("team", "slow")) == []
