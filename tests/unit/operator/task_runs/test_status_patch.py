"""A status as JSON, and the patch between two: applied to the old one it gives the new one, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import run_object
from tests.support.lifecycle_builders import T0, awaiting, ended, running, status

from podtask.core.api.status import Status
from podtask.core.lifecycle.model import Policy
from podtask.core.lifecycle.rendering import rendered
from podtask_operator.task_runs.parse import TaskRun
from podtask_operator.task_runs.status_patch import dump, merge_patch

PATCHES: dict[str, tuple[Any, Any, Any]] = {
    "nothing changed": ({"a": 1}, {"a": 1}, {}),
    "a field is new": ({}, {"a": 1}, {"a": 1}),
    "a field is gone": ({"a": 1, "b": 2}, {"b": 2}, {"a": None}),
    "objects are merged": ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, {"a": {"y": 3}}),
    "a field inside an object is gone": ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}, {"a": {"y": None}}),
    "lists are replaced": ({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}),
    "an object takes a text's place": ({"a": "x"}, {"a": {"y": 1}}, {"a": {"y": 1}}),
    "zero is not false": ({"a": {"n": 1}}, {"a": {"n": 0}}, {"a": {"n": 0}}),
}


@pytest.mark.parametrize(("old", "new", "patch"), PATCHES.values(), ids=PATCHES)
def test_the_smallest_patch(old: Any, new: Any, patch: Any) -> None:
    assert merge_patch(old, new) == patch


def applied(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, word by word."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = applied(merged.get(name), value)
    return merged


VALUES = st.recursive(
    st.integers() | st.text() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=2), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_patch_turns_the_old_object_into_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, merge_patch(old, new)) == new


@pytest.mark.parametrize("known", [Status(), running(), awaiting(20), status(ended(), finished_at=T0)])
def test_what_is_written_is_read_back_as_the_same_status(known: Status) -> None:
    dumped = dump(rendered(known, Policy(retries=1), T0, 3))
    assert TaskRun.parse(run_object(status=dumped)).status == known
