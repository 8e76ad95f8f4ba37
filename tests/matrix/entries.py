"""The matrix: other people's parts, each with the command that tries podtask on it.

`make matrix` runs the commands of this table one after the other and writes down what came out
(`tests.matrix.__main__`); `docs/reference/tried.md` is made of that (`tests.matrix.document`). A part without a record
is "not tried" on that page, whatever this table promises.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ROAD = tuple(
    f"tests/cluster/test_{name}.py"
    for name in (
        "bounds", "cache", "cancel", "chart", "cli", "files", "flow_runs", "held_up", "kubelet", "limits", "lost_node",
        "pod_options", "refusals", "security", "warm_pools", "yaml_door",
    )
)  # fmt: skip
"""What depends on the versions around podtask: admission, schemas, kubelet, eviction, chart, command."""
STORES = "tests/unit/sdk/core/storage"
WITH_CLUSTER = ("dev/fresh-cluster", "dev/with-cluster", "pytest", "-q", "--timeout", "900")
ON_CLUSTER = (*WITH_CLUSTER, "-m", "cluster and not long")


@dataclass(frozen=True)
class Entry:
    """One part of somebody else, in one version."""

    axis: str
    part: str
    version: str
    command: tuple[str, ...] = ()
    """Ends with 0 where podtask works on it; its pytest counts. Empty: nobody has written down how to try it."""
    environment: dict[str, str] = field(default_factory=dict)
    why: str = ""
    """Why there is no command."""

    @property
    def name(self) -> str:
        return f"{self.part} {self.version}".strip()


def kubernetes(version: str, containerd: str) -> Entry:
    """A version of Kubernetes, with a containerd from its module (empty: Debian's)."""
    environment = {"KUBERNETES_VERSION": version, "CONTAINERD_VERSION": containerd}
    return Entry("Kubernetes", "Kubernetes", version, (*ON_CLUSTER, *ROAD), environment)


def drivers(minor: str) -> Entry:
    """SDK, command and runner under one Python, in an environment of its own."""
    command = ("make", "test-sdk", f"PYTHON=python{minor}", f"VENV=.venv/of-{minor}")
    return Entry("Python", "Python", f"{minor}, driver and runner", command)


ENTRIES = (
    kubernetes("1.33.7", ""),
    kubernetes("1.34.4", ""),
    kubernetes("1.35.4", ""),
    kubernetes("1.36.3", "2.4.2"),
    kubernetes("1.37.2", "2.4.2"),
    Entry("S3 server", "versitygw", "1.8.0", (*ON_CLUSTER, STORES)),
    Entry("S3 server", "moto", "5", ("pytest", "-q", "-m", "not cluster and not long", "-k", "moto", STORES)),
    Entry("S3 server", "SeaweedFS", "of 2026-11-09",
          ("dev/seaweedfs", "pytest", "-q", "-m", "cluster and not long", STORES)),
    Entry("S3 server", "Ceph RGW", "16.2.15", ("dev/ceph", "pytest", "-q", "-m", "cluster and not long", STORES)),
    *(drivers(minor) for minor in ("3.10", "3.11", "3.12", "3.13")),
    Entry("Python", "Python", "3.10, 3.12 and 3.13, pods", (*WITH_CLUSTER, "tests/cluster/test_minors.py")),
    Entry("Helm", "Helm", "3.22.0", (*ON_CLUSTER, "tests/cluster/test_chart.py"), {"HELM_VERSION": "3.22.0"}),
    Entry("Helm", "Helm", "4.3.1", (*ON_CLUSTER, "tests/cluster/test_chart.py"), {"HELM_VERSION": "4.3.1"}),
    Entry("Beside it", "Prometheus", "2.42", ("pytest", "-q", "tests/unit/test_chart_prometheus.py")),
    Entry("Beside it", "Kueue", "0.17.0", (*WITH_CLUSTER, "tests/cluster/test_kueue.py")),
    Entry("Beside it", "Argo CD", "", why="its way of applying is tested by kubectl's server-side apply only"),
    Entry("Beside it", "a network that enforces NetworkPolicy", "", why="the network of dev/cluster does not"),
)  # fmt: skip
