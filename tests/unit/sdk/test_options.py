"""Options: what is given, what is refused, what `with_options` keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_type_hints

import pytest

from podtask import task
from podtask.options import OPTION_NAMES, FlowOptions, TaskArgs, TaskOptions


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
        ({"max_disruptions": 1001}, "max_disruptions must be a whole number from 0 to 1000, not 1001"),
        (
            {"on_disruption": {"avoidNodes": True}},
            "on_disruption has no 'avoidNodes'; it may have avoidNode, lastAttempt",
        ),
        ({"on_disruption": {"avoidNode": None}}, "on_disruption says nothing: give at least one of avoidNode, last"),
        ({"on_disruption": {"lastAttempt": {}}}, r"on_disruption\['lastAttempt'\] says nothing"),
        (
            {"on_disruption": {"lastAttempt": {"affinity": {}}}},
            r"on_disruption\['lastAttempt'\] has no 'affinity'; it may have nodeSelector, tolerations, priorityClass",
        ),
        (
            {"on_disruption": {"lastAttempt": {"nodeSelector": {"a": "x" * 64}}}},
            r"the label 'a' in on_disruption\['lastAttempt'\]\['nodeSelector'\] may have at most 63 characters",
        ),
        ({"on_disruption": {"lastAttempt": {"tolerations": [{}] * 33}}}, "at most 32 tolerations in on_disruption"),
        ({"on_disruption": {"lastAttempt": {"priorityClassName": "x" * 254}}}, "priorityClassName.* at most 253"),
        ({"retry_delay_seconds": -1}, "retry_delay_seconds"),
        ({"retry_delay_seconds": [1, "2"]}, "retry_delay_seconds"),
        ({"retry_delay_seconds": float("nan")}, "retry_delay_seconds"),
        ({"retry_jitter_factor": -0.1}, "retry_jitter_factor"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"deadline_seconds": -1}, "deadline_seconds"),
        ({"cache_concurrent": "maybe"}, "cache_concurrent"),
        ({"checkpoints": 5}, "checkpoints must be True or False, not 5"),
        ({"checkpoints": "no"}, "checkpoints"),
        ({"timeout_seconds": 1e9}, r"timeout_seconds must be .* at most 2\.592e\+06 \(30 days\), not 1000000000\.0"),
        ({"timeout_seconds": 10**400}, "timeout_seconds"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds"),
        ({"deadline_seconds": 4e7}, r"deadline_seconds .*365 days"),
        ({"retry_jitter_factor": 11}, "retry_jitter_factor must be a number, 0 or more and at most 10"),
        ({"retry_delay_seconds": 604801}, r"retry_delay_seconds .*7 days"),
        ({"retry_delay_seconds": [1] * 101}, "retry_delay_seconds may have at most 100 delays"),
        ({"tags": {"x" * 64}}, "a tag may have at most 63 characters; 'x+' has 64"),
        ({"tags": [f"t{number}" for number in range(33)]}, "at most 32 tags"),
        ({"tags": {"\udcff"}}, "UTF-8"),
        ({"cache_expiration": "1h"}, "cache_expiration must be a timedelta, a number of seconds"),
        ({"cache_expiration": True}, "cache_expiration"),
        ({"cache_expiration": float("nan")}, "cache_expiration"),
        ({"cache_expiration": float("inf")}, "cache_expiration"),
        ({"cache_expiration": 10**20}, "cache_expiration"),
    ],
    ids=str,
)
def test_an_impossible_value_is_a_value_error_that_names_the_argument(given, named) -> None:
    with pytest.raises(ValueError, match=named):
        TaskOptions.of(given)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("avoidNode", "on_disruption must be a mapping, not 'avoidNode'"),
        ({"avoidNode": "yes"}, r"on_disruption\['avoidNode'\] must be True or False, not 'yes'"),
        ({"lastAttempt": []}, r"on_disruption\['lastAttempt'\] must be a mapping, not \[\]"),
        ({"lastAttempt": {"tolerations": {"key": "a"}}}, r"\['tolerations'\] must be a list"),
        ({"lastAttempt": {"tolerations": ["spot"]}}, "a toleration in .* must be a mapping, not 'spot'"),
        ({"lastAttempt": {"priorityClassName": 5}}, r"\['priorityClassName'\] must be a text, not 5"),
    ],
    ids=str,
)
def test_another_kind_of_value_for_on_disruption_is_a_type_error(asked: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        TaskOptions.of({"on_disruption": asked})


@pytest.mark.parametrize(
    "asked",
    [None, {}, {"avoidNode": False}, {"lastAttempt": {"nodeSelector": {}}}, {"lastAttempt": {"tolerations": ()}}],
)
def test_what_on_disruption_may_say(asked: Any) -> None:
    assert TaskOptions.of({"on_disruption": asked}).on_disruption == asked


@pytest.mark.parametrize("seconds", [60, 60.0, timedelta(minutes=1)])
def test_a_number_is_an_expiration_in_seconds(seconds) -> None:
    assert TaskOptions.of({"cache_expiration": seconds}).cache_expiration == timedelta(seconds=60)


def test_a_tag_is_text() -> None:
    with pytest.raises(TypeError, match="a tag must be a string, not 5"):
        TaskOptions.of({"tags": {5}})


def test_the_largest_values_that_the_schema_takes_are_taken() -> None:
    TaskOptions.of(
        {
            "retries": 100,
            "max_disruptions": 1000,
            "retry_delay_seconds": [604800] * 100,
            "retry_jitter_factor": 10,
            "timeout_seconds": 2592000,
            "deadline_seconds": 31536000,
            "tags": {f"{number:>063}" for number in range(32)},
        }
    )


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


@pytest.mark.parametrize("name", ["timeout_seconds", "deadline_seconds"])
@pytest.mark.parametrize("zero", [0, 0.0, None])
def test_a_time_of_zero_resets_where_options_are_changed(name: str, zero: Any) -> None:
    changed = TaskOptions(timeout_seconds=3, deadline_seconds=4).changed({name: zero})
    other = {"timeout_seconds": "deadline_seconds", "deadline_seconds": "timeout_seconds"}[name]
    assert getattr(changed, name) is None
    assert getattr(changed, other) is not None
    if name == "timeout_seconds":
        assert FlowOptions(timeout_seconds=3).changed({name: zero}).timeout_seconds is None


@pytest.mark.parametrize("made", [TaskOptions, FlowOptions])
def test_a_time_of_zero_is_refused_where_options_are_given(made: Any) -> None:
    with pytest.raises(ValueError, match="timeout_seconds must be a number"):
        made(timeout_seconds=0)
    with pytest.raises(ValueError, match="timeout_seconds must be a number"):
        made(timeout_seconds=3).changed({"timeout_seconds": -1})


@pytest.mark.parametrize("falsy", [0, [], "", {}])
@pytest.mark.parametrize("name", sorted(OPTION_NAMES))
def test_a_falsy_value_resets_or_is_refused_by_name(name: str, falsy: Any) -> None:
    found: Any = TaskOptions()
    try:
        found = found.changed({name: falsy})
    except (TypeError, ValueError) as error:
        found = str(error)
    assert name in found if isinstance(found, str) else not getattr(found, name) or found == TaskOptions()
