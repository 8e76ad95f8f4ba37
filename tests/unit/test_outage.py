"""Tests that stop a component of the cluster are never left out silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.outage import FOREIGN, switchable


@pytest.fixture(autouse=True)
def another_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "another"))
    monkeypatch.delenv(FOREIGN, raising=False)


def test_on_another_cluster_they_fail_and_say_how_to_leave_them_out() -> None:
    with pytest.raises(pytest.fail.Exception, match=f"KUBECONFIG names another cluster.*set {FOREIGN}=1"):
        switchable()


def test_who_says_that_it_is_another_cluster_leaves_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOREIGN, "1")
    with pytest.raises(pytest.skip.Exception, match="KUBECONFIG names another cluster"):
        switchable()


def test_any_other_value_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOREIGN, "0")
    with pytest.raises(pytest.fail.Exception):
        switchable()
