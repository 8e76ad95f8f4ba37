"""`spec.cache`: what the operator can compose a key of before any upstream has run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.unit.sdk.backends.kubernetes.harness import no_key, run_of, sum_key

from podtask import Task, TaskFuture, task_input_hash
from podtask.backends.kubernetes import cache_spec
from podtask.core.api.spec import Cache
from podtask.core.api.status import MESSAGE_LIMIT


def one() -> int:
    return 1


def add(x: Any, y: Any = 0) -> Any:
    return x + y


LOCK = threading.Lock()


def locked(x: Any) -> Any:
    with LOCK:
        return x


CACHED = Task(add, cache_key_fn=task_input_hash)


class Thing:
    """Has no stable form, and says so at length."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __podtask_hash__(self) -> object:
        raise TypeError(self.why)


def arguments(*args: Any) -> dict[str, str]:
    plan = cache_spec.plan(run_of(CACHED, *args))
    assert plan is not None
    found: dict[str, str] = plan["components"]["arguments"]
    return found


def future(number: str) -> TaskFuture[Any]:
    return TaskFuture(run_of(Task(one), number=number))


SHARED = future("5")


def test_every_argument_has_a_hash_defaults_included() -> None:
    found = arguments(1)
    assert set(found) == {"x", "y"}
    assert found == arguments(1, 0)
    assert found != arguments(2)


def test_a_future_stands_as_its_place_whatever_run_it_is() -> None:
    assert arguments(future("0"), 2) == arguments(future("7"), 2)
    assert arguments([future("0")]) != arguments(future("0"))
    first, second = future("0"), future("1")
    assert arguments(first, second) == arguments(second, first), "the operator adds what they are, in their order"
    assert arguments(first, second) != arguments(first, first)


def test_an_argument_that_is_a_future_names_the_upstream_one_that_holds_it_is_hashed() -> None:
    first, second = future("0"), future("1")
    found = arguments([second], first)
    assert found["x"].startswith("h1:")
    assert found["y"] == "upstream 1", "met as the second"
    both = arguments([first], first)
    assert both["y"].startswith("h1:"), "its place inside of x must not be mistaken for another"


def test_the_users_own_key_is_sent_as_it_is_and_no_key_means_no_cache() -> None:
    assert cache_spec.plan(run_of(Task(add, cache_key_fn=sum_key), 1)) == {"key": "sum-1"}
    assert cache_spec.plan(run_of(Task(add, cache_key_fn=no_key), 1)) is None
    assert cache_spec.plan(run_of(Task(add), 1)) is None


def test_only_a_key_function_of_the_users_needs_values() -> None:
    assert cache_spec.needs_values(run_of(Task(add, cache_key_fn=sum_key), 1))
    assert not cache_spec.needs_values(run_of(CACHED, 1))
    assert not cache_spec.needs_values(run_of(Task(add), 1))


UNCACHED = {
    "an argument": (run_of(CACHED, {"df": [Thing("no form")]}), "x['df'][0]: "),
    "an argument beside a future": (run_of(CACHED, future("0"), Thing("no form")), "y: "),
    "an argument that holds a future, too": (run_of(CACHED, [future("0"), Thing("no form")]), "x[1]: "),
    "what the code uses": (run_of(Task(locked, cache_key_fn=task_input_hash), 1), "locked → LOCK: "),
}


@pytest.mark.parametrize("case", UNCACHED)
def test_what_has_no_stable_form_makes_the_run_uncached_and_the_taskrun_and_the_log_lead_to_it(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    run, path = UNCACHED[case]
    plan = cache_spec.plan(run)
    assert plan is not None
    assert plan.keys() == {"uncached"}, "no part of a key, or the operator could make one of it"
    assert plan["uncached"].startswith(f"No key can be made of the inputs: {path}")
    assert "runs uncached" in caplog.text
    assert path in caplog.text


def test_a_long_reason_is_cut_to_what_the_api_server_takes() -> None:
    plan = cache_spec.plan(run_of(CACHED, Thing("é" * 9000)))
    assert plan is not None
    assert len(plan["uncached"]) == MESSAGE_LIMIT
    assert Cache.model_validate(plan).uncached == plan["uncached"]


LABELLED = Task(add, cache_key_fn=task_input_hash(ignore=["y"], add={"rates": "may"}))


@pytest.mark.parametrize(
    ("args", "named", "ignored"),
    [
        ((1, 2), {"x", "added:rates"}, None),
        ((1, future("0")), {"x", "added:rates"}, ["upstream 0"]),
        ((1, [future("0"), future("1")]), {"x", "added:rates"}, ["upstream 0", "upstream 1"]),
        ((future("0"), future("1")), {"x", "added:rates"}, ["upstream 1"]),
        (([future("0")], future("1")), {"x", "added:rates"}, ["upstream 1"]),
        ((SHARED, SHARED), {"x", "added:rates"}, None),
        (([SHARED], [SHARED]), {"x", "added:rates"}, None),
        (({"a": SHARED}, [SHARED, future("9")]), {"x", "added:rates"}, ["upstream 1"]),
    ],
)
def test_upstreams_that_are_only_in_what_is_left_out_are_named(
    args: tuple[Any, ...], named: set[str], ignored: list[str] | None
) -> None:
    plan = cache_spec.plan(run_of(LABELLED, *args))
    assert plan is not None
    assert set(plan["components"]["arguments"]) == named
    assert plan.get("ignore") == ignored
    Cache.model_validate(plan)
