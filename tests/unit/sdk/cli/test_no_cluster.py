"""What a first user reads who has no cluster yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.sdk.cli.conftest import Terminal


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("flows", "podtask flows --local"),
        ("describe flow/x", "podtask describe flow/NAME --local"),
        ("ui", "podtask ui --local"),
    ],
)
def test_without_a_cluster_the_flow_runs_of_this_machine_are_named(
    podtask: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, instead: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    said = podtask(line)
    assert (said.status, said.out) == (1, "")
    assert said.err.endswith(f"Flow runs of this machine: {instead}.\n")
