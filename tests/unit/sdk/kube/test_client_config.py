"""Whose ConfigMap counts: nobody but the chart says where code and inputs go."""

from __future__ import annotations

import pytest

from podtask.kube.client_config import client_config

OURS = {"bucket": "ours", "scope": "cluster"}
RELEASE = {"bucket": "release"}
OTHER = {"bucket": "other"}

CASES = {
    "a release for the whole cluster, and nobody else": ({"podtask-system": OURS}, "ours"),
    "a release for the whole cluster, and somebody's own": ({"podtask-system": OURS, "team": OTHER}, "ours"),
    "a release for some namespaces, and a copy": ({"podtask-system": RELEASE, "team": OTHER}, "other"),
    "a release for some namespaces, without a copy": ({"podtask-system": RELEASE}, "release"),
    "a release of the namespace's own": ({"team": OTHER}, "other"),
    "nothing": ({}, None),
    "something empty": ({"team": {}, "podtask-system": RELEASE}, "release"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_bucket_is_that_of(case: str) -> None:
    published, bucket = CASES[case]
    found = client_config("team", published.get, "bucket")
    assert (found and found["bucket"]) == bucket


def test_what_a_release_for_the_whole_cluster_leaves_out_nobody_else_fills_in() -> None:
    """The image of drivers gets a token: it must not be chosen by who may write ConfigMaps."""
    published = {"podtask-system": OURS, "team": {"driverImage": "evil", "bucket": "x"}}
    assert client_config("team", published.get, "driverImage") is None
