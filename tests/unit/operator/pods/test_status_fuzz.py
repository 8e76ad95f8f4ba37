"""Malformed pods: anyone with rights on pods/status can write them, and none may stop the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import UID

from podtask_operator.pods.status import is_ours, project, read
from podtask_operator.task_runs.parse import Malformed

REAL: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "golden" / "statuses.yaml").read_text())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        *("metadata", "spec", "status", "uid", "name", "labels", "generation", "ownerReferences"),
        *("deletionTimestamp", "deletionGracePeriodSeconds", "schedulingGates", "activeDeadlineSeconds"),
        *("phase", "reason", "message", "conditions", "type", "lastTransitionTime", "containerStatuses", "state"),
        *("running", "waiting", "terminated", "startedAt", "finishedAt", "exitCode"),
    )
)
VALUES = JSON | st.sampled_from(
    (
        *("task", "PodScheduled", "DisruptionTarget", "True", "False", "Unschedulable", "StartError"),
        *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-02T03:04:05", '{"outcome":"Completed"}'),
        *(10**30, -(10**30)),
    )
)
PODLIKE = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(FIELDS, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=30,
)


@given(PODLIKE, PODLIKE, PODLIKE)
def test_a_malformed_pod_is_read_or_refused_but_never_breaks_the_loop(meta: Any, spec: Any, status: Any) -> None:
    identified = {**meta, "uid": "u"} if isinstance(meta, dict) else meta
    seen = {"metadata": identified, "spec": spec, "status": status}
    is_ours(seen, UID)
    try:
        found = read(seen)
    except Malformed:
        assert not isinstance(meta, dict)
    else:
        assert read(project(seen)) == found


@given(st.lists(st.tuples(st.lists(FIELDS, min_size=1, max_size=5), VALUES), max_size=4), st.sampled_from(sorted(REAL)))
def test_a_real_pod_with_wrong_fields_is_read(changes: list[tuple[list[str], Any]], name: str) -> None:
    seen = yaml.safe_load(yaml.safe_dump(REAL[name]))
    for path, value in changes:
        _put(seen, ["status", *path], value)
    assert read(project(seen)) == read(seen)


def _put(where: Any, path: list[str], value: Any) -> None:
    """Overwrite one field, stepping into the first entry of lists."""
    for key in path[:-1]:
        where = where[0] if isinstance(where, list) and where else where
        if not isinstance(where, dict) or not isinstance(where.get(key), (dict, list)):
            break
        where = where[key]
    where = where[0] if isinstance(where, list) and where else where
    if isinstance(where, dict):
        where[path[-1]] = value
