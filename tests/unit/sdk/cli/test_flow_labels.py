"""`podtask flows` where only labels of TaskRuns tell of flow runs; the API server answers with Tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.sdk.cli.apiserver import Refuse
from tests.unit.sdk.cli.conftest import KUBECONFIG, Terminal
from tests.unit.sdk.ui import worlds
from tests.unit.sdk.ui.live_api import LiveCluster, serving

from podtask.core.storage import open_store


@pytest.fixture
def older(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Terminal, LiveCluster]]:
    """A recorded flow run, and two of a driver that recorded none."""
    cluster = LiveCluster()
    worlds.one(cluster)
    cluster.put(*worlds.etl())
    cluster.put(worlds.task_run("busy", "Running", flow="other", flow_run="other-1",
                                attempts=[worlds.attempt(1, 5, None)]))  # fmt: skip
    cluster.put(worlds.task_run("alone", flow_run=""))
    for name in ("PODTASK_NAMESPACE", "PODTASK_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with serving(cluster) as address:
        config = tmp_path / "kubeconfig"
        config.write_text(KUBECONFIG.format(server=address))
        monkeypatch.setenv("KUBECONFIG", str(config))
        yield Terminal(capsys, tmp_path, cluster, open_store(f"file://{tmp_path}/bucket")), cluster


def test_they_are_listed_when_asked_for(older: tuple[Terminal, LiveCluster]) -> None:
    podtask, _ = older
    assert [line.split()[0] for line in podtask("flows").out.splitlines()[1:]] == ["hello-5f1c"]
    said = podtask("flows --unrecorded")
    rows = {line.split()[0]: line.split()[1:4] for line in said.out.splitlines()[1:]}
    assert (said.status, said.err) == (0, "")
    assert rows["hello-5f1c"][:2] == ["hello", "Completed"]
    assert rows["etl-1f3a52b7"] == ["etl", "Failed", "8/8"]
    assert rows["other-1"] == ["other", "Running", "0/1"]
    assert len(rows) == 3


def test_filters_and_names(older: tuple[Terminal, LiveCluster]) -> None:
    podtask, _ = older
    assert podtask("flows --unrecorded --state failed -o name").out == "flowrun.podtask.dev/etl-1f3a52b7\n"
    assert podtask("flows --unrecorded --flow other --no-headers").out.split()[0] == "other-1"


def test_a_cluster_without_the_crd_has_those_of_labels(older: tuple[Terminal, LiveCluster]) -> None:
    podtask, cluster = older
    cluster.flow_runs = None
    said = podtask("flows")
    assert said.status == 0
    assert "the cluster does not know FlowRuns (podtask doctor)" in said.err
    assert {line.split()[0] for line in said.out.splitlines()[1:]} == {"hello-5f1c", "etl-1f3a52b7", "other-1"}
    assert podtask("flows -l a=b").status != 0


def test_a_refusal_is_told(older: tuple[Terminal, LiveCluster]) -> None:
    podtask, cluster = older
    cluster.refuse["list taskruns"] = Refuse(403, "Forbidden", "no")
    cluster.refuse["GET flowruns"] = Refuse(403, "Forbidden", "no")
    assert podtask("flows").status != 0


@pytest.mark.parametrize("line", ["--watch", "--local", "-l a=b"])
def test_what_does_not_go_together(older: tuple[Terminal, LiveCluster], line: str) -> None:
    podtask, _ = older
    said = podtask(f"flows --unrecorded {line}")
    assert (said.status, "--unrecorded goes without" in said.err) == (2, True)
