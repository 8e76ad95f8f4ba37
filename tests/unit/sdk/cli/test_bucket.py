"""`podtask bucket adopt`: a person says that a folder of the bucket is this namespace's."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from tests.unit.sdk.cli.apiserver import Refuse, namespace
from tests.unit.sdk.cli.conftest import Terminal

from podtask.core.storage import owner as owners
from podtask.core.storage.base import NotStored
from podtask.core.storage.layout import Bucket

MARK = Bucket("", "team").owner


def marked(podtask: Terminal) -> Any:
    return json.loads(podtask.store.get(MARK))


@pytest.mark.parametrize(
    ("mark", "before"),
    [
        (None, "nobody"),
        (owners.dump("uid-elsewhere", "cluster"), "uid-elsewhere"),
        (b"\x1b]52", "nobody that can be read"),
    ],
)
def test_a_folder_is_taken_over(podtask: Terminal, mark: bytes | None, before: str) -> None:
    if mark is not None:
        podtask.store.put(MARK, mark)
    said = podtask("bucket adopt")
    server = said.out.partition("of http")[2].partition(" now")[0]
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        f"team/ is namespace 'team' of http{server} now (UID uid-of-team; before: {before}). "
        f"What is in it is not removed for 30 days.\n"
    )
    assert marked(podtask) == {"v": 1, "namespaceUID": "uid-of-team"}


def test_whoever_may_read_kube_system_names_the_cluster_too(podtask: Terminal) -> None:
    podtask.cluster.namespaces["kube-system"] = namespace("kube-system", "uid-of-cluster")
    podtask("bucket adopt -n team")
    assert marked(podtask) == {"v": 1, "namespaceUID": "uid-of-team", "clusterUID": "uid-of-cluster"}


def test_a_folder_that_is_the_namespaces_already_is_left_as_it_is(podtask: Terminal) -> None:
    podtask.store.put(MARK, owners.dump("uid-of-team", "cluster"))
    os.utime(podtask.folder / "bucket" / MARK, (86400, 86400))
    said = podtask("bucket adopt")
    assert said.out == "team/ is marked for namespace 'team' already, since 1970-01-02.\n"
    assert marked(podtask)["clusterUID"] == "cluster"


def test_a_namespace_that_is_not_there_adopts_nothing(podtask: Terminal) -> None:
    said = podtask("bucket adopt -n tema")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("podtask: There is no namespace 'tema': ")
    with pytest.raises(NotStored):
        podtask.store.get(Bucket("", "tema").owner)


def test_whoever_may_not_read_the_namespace_adopts_nothing(podtask: Terminal) -> None:
    def forbidden(_: object) -> dict[str, Any]:
        raise Refuse(403, "Forbidden", 'namespaces "team" is forbidden: User "ann" cannot get resource')

    podtask.cluster.other["/api/v1/namespaces/team"] = forbidden
    said = podtask("bucket adopt")
    assert (said.status, said.out) == (1, "")
    assert "'ann' may not get namespaces in namespace 'team'" in said.err


def test_without_a_bucket_it_says_which_setting_is_missing(podtask: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODTASK_STORE")
    said = podtask("bucket adopt")
    assert (said.status, said.out) == (1, "")
    assert "Set PODTASK_STORE=s3://bucket/prefix" in said.err
