"""Options: what is given, what is refused, what `with_options` keeps."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from podtask import task
from podtask.options import OPTION_NAMES, TaskArgs, TaskOptions


def test_the_typed_keywords_are_exactly_the_options() -> None:
    assert set(TaskArgs.__annotations__) == OPTION_NAMES


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"retries": -1}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"retries": True}, "retries"),
        ({"retries": 101}, "retries"),
        ({"max_disruptions": -1}, "max_disruptions"),
        ({"retry_delay_seconds": -1}, "retry_delay_seconds"),
        ({"retry_delay_seconds": [1, "2"]}, "retry_delay_seconds"),
        ({"retry_delay_seconds": float("nan")}, "retry_delay_seconds"),
        ({"retry_jitter_factor": -0.1}, "retry_jitter_factor"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"deadline_seconds": -1}, "deadline_seconds"),
        ({"cache_concurrent": "maybe"}, "cache_concurrent"),
    ],
    ids=str,
)
def test_an_impossible_value_is_a_value_error_that_names_the_argument(given, named) -> None:
    with pytest.raises(ValueError, match=named):
        TaskOptions.of(given)


def test_one_string_is_no_set_of_tags() -> None:
    with pytest.raises(TypeError, match=r"tags must be several strings, such as \{'a'\}"):
        TaskOptions.of({"tags": "a"})


def test_an_unknown_option_is_named_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"unknown task option 'retrys'; the options are .*retries"):
        task(retrys=1)(print)


def test_falsy_values_reset_and_omitted_ones_keep() -> None:
    @task(retries=3, retry_delay_seconds=[1, 2], tags={"a"}, timeout_seconds=5, name="named")
    def some():
        """Some."""

    reset = some.with_options(retries=0, retry_delay_seconds=0, tags=[], timeout_seconds=None, name=None)
    assert (reset.retries, reset.retry_delay_seconds, reset.tags, reset.name) == (0, 0.0, set(), "some")
    assert reset.options.timeout_seconds is None
    kept = some.with_options(description="other")
    assert (kept.retries, kept.retry_delay_seconds, kept.tags, kept.name) == (3, (1, 2), {"a"}, "named")
    assert (some.description, kept.description) == ("Some.", "other")


def test_delays_come_out_as_the_lifecycle_wants_them() -> None:
    assert TaskOptions.of({"retry_delay_seconds": 5}).delays == (5,)
    assert TaskOptions.of({"retry_delay_seconds": [1, 2.5]}).delays == (1, 2.5)
    assert TaskOptions.of({"retry_delay_seconds": lambda *_: 1}).delays == ()


def test_hints_of_the_keywords_resolve() -> None:
    assert get_type_hints(TaskArgs, localns={"TaskRunContext": object})
