"""Which lines of a watch tell of an own write: only those that cannot be anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import run_object

from podtask_operator.kube.echoes import MOST, Echoes

UID = run_object()["metadata"]["uid"]


def line(version: str, **metadata: Any) -> bytes:
    """As the API server writes it."""
    obj = run_object(metadata={"resourceVersion": version, **metadata})
    return json.dumps({"type": "MODIFIED", "object": obj}, separators=(",", ":")).encode()


def test_the_version_of_an_own_write_is_one_and_no_other_version_is() -> None:
    echoes = Echoes()
    echoes.wrote(UID, "42")
    assert echoes.told_by(line("42"))
    assert not any(echoes.told_by(line(other)) for other in ("4", "2", "421", "142", "43"))


def test_another_object_with_that_version_is_none() -> None:
    echoes = Echoes()
    echoes.wrote("another", "42")
    assert not echoes.told_by(line("42"))


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_what_a_tenant_writes_never_hides_an_event(where: str) -> None:
    echoes = Echoes()
    echoes.wrote(UID, "42")
    assert not echoes.told_by(line("43", **{where: {"resourceVersion": "42"}}))


def test_text_that_looks_like_a_version_hides_nothing() -> None:
    echoes = Echoes()
    echoes.wrote(UID, "42")
    applied = json.dumps({"metadata": {"resourceVersion": "42"}}, separators=(",", ":"))
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    assert not echoes.told_by(line("43", annotations=annotations))
    assert echoes.told_by(line("42", annotations=annotations))


def test_the_oldest_versions_are_forgotten() -> None:
    echoes = Echoes()
    for version in range(MOST + 1):
        echoes.wrote(UID, str(version))
    assert not echoes.told_by(line("0"))
    assert echoes.told_by(line("1"))
    assert echoes.told_by(line(str(MOST)))
