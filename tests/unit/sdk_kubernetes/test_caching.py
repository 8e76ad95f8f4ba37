"""`spec.cache`: what the operator can compose a key of before any upstream has run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sdk_kubernetes.harness import no_key, run_of, sum_key

from podtask import Task, TaskFuture, task_input_hash
from podtask.backends.kubernetes import caching


def one() -> int:
    return 1


def add(x: Any, y: Any = 0) -> Any:
    return x + y


CACHED = Task(add, cache_key_fn=task_input_hash)


def arguments(*args: Any) -> dict[str, str]:
    plan = caching.plan(run_of(CACHED, *args))
    assert plan is not None
    found: dict[str, str] = plan["components"]["arguments"]
    return found


def future(number: str) -> TaskFuture[Any]:
    return TaskFuture(run_of(Task(one), number=number))


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
    assert caching.plan(run_of(Task(add, cache_key_fn=sum_key), 1)) == {"key": "sum-1"}
    assert caching.plan(run_of(Task(add, cache_key_fn=no_key), 1)) is None
    assert caching.plan(run_of(Task(add), 1)) is None


def test_only_a_key_function_of_the_users_needs_values() -> None:
    assert caching.needs_values(run_of(Task(add, cache_key_fn=sum_key), 1))
    assert not caching.needs_values(run_of(CACHED, 1))
    assert not caching.needs_values(run_of(Task(add), 1))


def test_an_argument_without_a_stable_form_means_uncached_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Thing:
        def __podtask_hash__(self) -> object:
            raise TypeError("a thing has no form")

    assert caching.plan(run_of(CACHED, Thing())) is None
    assert "runs uncached" in caplog.text
    assert "a thing has no form" in caplog.text
