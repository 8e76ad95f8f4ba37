"""Options that only pods have, at the bounds of a TaskRun: refused where they are written, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from podtask import task
from podtask.core.api import call_limits
from podtask.options import TaskOptions

TOO_MUCH: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"image": "x" * 1025}, "image may have at most 1024 characters, not 1025"),
    "account": ({"service_account": "x" * 254}, "service_account may have at most 253 characters, not 254"),
    "variables": (
        {"env": {f"V{n}": "" for n in range(65)}},
        "there may be at most 64 variables in env, not 65; pass values as arguments",
    ),
    "a value": (
        {"env": {"V": "x" * 32769}},
        "the value of 'V' in env may have at most 32768 characters, not 32769; pass",
    ),
    "a name": ({"env": {"V" * 254: ""}}, "the name of a variable in env may have at most 253 characters, not 254"),
    "a label": (
        {"node_selector": {"zone": "x" * 64}},
        "the label 'zone' in node_selector may have at most 63 characters",
    ),
    "labels": ({"node_selector": {str(n): "" for n in range(33)}}, "there may be at most 32 labels in node_selector"),
    "tolerations": ({"tolerations": [{}] * 33}, "there may be at most 32 tolerations, not 33"),
    "a key": ({"tolerations": [{"key": "x" * 317}]}, "the key of a toleration may have at most 316 characters"),
    "an effect": ({"tolerations": [{"effect": "x" * 33}]}, "the effect of a toleration may have at most 32"),
    "limits": ({"resources": {"limits": {str(n): 1 for n in range(17)}}}, "at most 16 limits of resources, not 17"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_more_than_a_cluster_takes_is_refused_where_it_is_written(what: str) -> None:
    options, words = TOO_MUCH[what]
    with pytest.raises(ValueError, match=words):
        task(lambda: None, **options)
    with pytest.raises(ValueError, match=words):
        task(lambda: None).with_options(**options)


def test_the_most_that_a_cluster_takes_is_taken() -> None:
    TaskOptions.of(
        {
            "image": "x" * 1024,
            "env": {f"V{n}": "x" * 32768 for n in range(64)},
            "node_selector": {str(n): "x" * 63 for n in range(32)},
            "tolerations": [{"key": "x" * 316, "value": "x" * 63, "tolerationSeconds": 5}] * 32,
            "resources": {"limits": {str(n): 1 for n in range(16)}, "requests": None},
            "service_account": "x" * 253,
        }
    )
    call_limits.call("one", upstreams=1000, wait_for=1000, files=256)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"upstreams": 1001}, "there may be at most 1000 results of other task runs in a call of task 'one', not 1001"),
        (
            {"wait_for": 1001},
            "there may be at most 1000 task runs that a call of task 'one' waits for, not 1001; combine",
        ),
        ({"files": 257}, "there may be at most 256 files in a call of task 'one', not 257; pack them into one file"),
    ],
    ids=["upstreams", "wait_for", "files"],
)
def test_a_call_that_names_too_much_is_refused(counts: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call_limits.call("one", **{"upstreams": 0, "wait_for": 0, "files": 0, **counts})
