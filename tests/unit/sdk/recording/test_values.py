"""Values of a user's as bounded JSON text: what is shown, what is hidden, what costs nothing."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from podtask.core.api import flow_run
from podtask.recording import values
from podtask.recording.values import as_text, parameters


class Colour(str, enum.Enum):
    RED = "red"


class Loud:
    def __repr__(self) -> str:
        raise AssertionError("a value's own code is never called")

    __str__ = __iter__ = __len__ = __bool__ = __eq__ = __hash__ = __repr__  # type: ignore[assignment]


class LoudList(list[Any]):
    __iter__ = Loud.__repr__  # type: ignore[assignment]


def test_the_bounds_are_those_of_the_model() -> None:
    ours = (values.TEXT_LIMIT, values.TOTAL_LIMIT, values.PARAMETERS_KEPT)
    assert ours == (flow_run.TEXT_LIMIT, flow_run.TOTAL_LIMIT, flow_run.PARAMETERS_KEPT)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (10**30, "1" + "0" * 30),
        ("ada\n\x1b[31m", '"ada\\n\\u001b[31m"'),
        ("ü", '"ü"'),
        ("\ud800", '"\\ud800"'),
        ([1, {"a": (2.5, None)}], '[1, {"a": [2.5, null]}]'),
    ],
)
def test_what_json_carries_is_shown_whole(value: Any, text: str) -> None:
    assert as_text(value) == (text, None)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {1}, {1: 2}, b"x", Colour.RED, Loud(), LoudList([1]), [Loud()], SecretStr("x"), 10**5000],
    ids=lambda value: type(value).__name__,
)
def test_what_json_does_not_carry_is_not_shown(value: Any) -> None:
    assert as_text(value) == (None, "NotJSON")


def test_a_list_in_itself_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert as_text(circle) == (None, "NotJSON")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"user": "ada", "Password": "hunter2"}, '{"user": "ada", "Password": "(hidden)"}'),
        ({"a": [{"api_key": ["hunter2"]}]}, '{"a": [{"api_key": "(hidden)"}]}'),
        ("postgres://ada:hunter2@db/x", '"postgres://ada:(hidden)@db/x"'),
        (["s3://k:hunter2@b", "http://no.password/x"], '["s3://k:(hidden)@b", "http://no.password/x"]'),
    ],
)
def test_secrets_are_hidden_wherever_they_are(value: Any, text: str) -> None:
    assert as_text(value) == (text, "Hidden")


@pytest.mark.parametrize("name", ["password", "db_passwd", "API_KEY", "apikey", "auth_token", "dsn", "client_secret"])
def test_a_parameter_with_the_name_of_a_secret_is_hidden(name: str) -> None:
    assert parameters({name: "hunter2"}) == [{"name": name, "type": "str", "omitted": "Hidden"}]


def test_what_is_long_is_cut() -> None:
    text, omitted = as_text("x" * 10_000_000)
    assert (len(text or ""), omitted) == (1024, "Cut")


def test_a_long_list_is_read_only_so_far_as_it_is_shown() -> None:
    text, omitted = as_text([0] * 5000 + [Loud()])
    assert omitted == "Cut"
    assert text is not None
    assert len(text) == 1024


def test_many_and_long_parameters_stay_within_16_kib() -> None:
    many = {f"p{number}": "ü" * 2000 for number in range(200)}
    kept = parameters(many)
    assert 50 < len(kept) <= 64
    assert len(json.dumps(kept, ensure_ascii=False).encode()) < 20 * 1024
    assert {one["omitted"] for one in kept} == {"Cut"}
    assert kept[-1].keys() == {"name", "type", "omitted"}
    wide = json.dumps(parameters({f"{'ü' * 100}{number}": 1 for number in range(64)}), ensure_ascii=False)
    assert len(wide.encode()) < 20 * 1024


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_every_text_fits_the_schema_and_is_the_value_where_nothing_is_omitted(value: Any) -> None:
    text, omitted = as_text(value)
    if text is None:
        assert omitted == "NotJSON"
        return
    assert len(text) <= 1024
    text.encode()
    if omitted is None:
        assert json.loads(text) == value
